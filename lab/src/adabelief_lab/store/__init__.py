"""The files of a study: its folder, the folder of each run, and whether two studies are one."""
