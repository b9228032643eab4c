"""The paper's exhibits: one file for each, measured and drawn, its claims beside the numbers."""
