"""How long a step takes, and how much memory: beside other optimizers, in the same process."""
