"""Where arrays lie in memory: anew in every layout, because it decides more than the arithmetic.

Large arrays are mapped one below the other, so equal ones lie at equal distances, and some
distances are bad for one kernel and not for another. (Seen on an AMD Zen 3: p, g, m, s of 64 MiB
in a row made a step take 1.5 to 2 times as long, another optimizer's in the same process not. The
cause was not found; its first-level cache, which predicts the way from a hash of the address, is
the suspect.) Luck of that kind must not be taken for speed: it is drawn again and again.
"""

from __future__ import annotations

import mmap
import random

# Up to 4 MiB: all the low bits that caches look at.
MOST_PAGES = 1024


class Spacers:
    """Holds mappings of random length between others' arrays, until it is dropped."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._held: list[mmap.mmap] = []

    def add(self) -> None:
        """Shift what is mapped next by a random number of pages."""
        pages = self._random.randint(1, MOST_PAGES)
        self._held.append(mmap.mmap(-1, pages * mmap.PAGESIZE))  # never touched: no memory
