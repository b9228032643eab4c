"""Theorems 2.1 and 2.2: online problems, regret and its bound, rates, dropped assumptions."""
