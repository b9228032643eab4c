"""Networks of the paper's experiments, from torchvision's parts."""
