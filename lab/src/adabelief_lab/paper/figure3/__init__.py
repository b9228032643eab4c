"""Figure 3: functions, trajectories, who arrives first, pictures, and a page to try it on."""
