"""Foundations that know nothing of studies: errors, files, random state, processes, versions."""
