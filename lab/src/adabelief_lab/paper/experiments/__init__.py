"""Exhibits of trained networks: studies of the lab beside the numbers that others reported."""
