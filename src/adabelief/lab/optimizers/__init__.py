"""Rivals that torch.optim does not have, written from their papers."""
