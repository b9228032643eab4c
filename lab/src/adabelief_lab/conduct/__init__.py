"""Many runs: plan, engines, progress, and the tools that repeat, check and move a study."""
