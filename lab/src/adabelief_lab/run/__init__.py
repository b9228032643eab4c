"""One run: the training loop, its checkpoints, its limits, and what it notes."""
