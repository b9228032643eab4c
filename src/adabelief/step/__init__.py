"""One step: the choice of a path, the paths, and what a parameter keeps between steps."""
