"""Numbers with their nouns: 1 run, 2 runs."""

from __future__ import annotations


def count(n: int, noun: str) -> str:
    """`n` and the noun, in the plural unless n is 1."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
