"""The lab: comparisons of optimizers as declarations."""
