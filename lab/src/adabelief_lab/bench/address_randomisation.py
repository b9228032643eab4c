"""Address randomisation: where arrays lie in memory is drawn anew for every layout.

Large arrays are mapped one below the other, so equal ones lie at equal distances. Some distances
are bad for one kernel and not for another. On an AMD Zen 3, p, g, m and s of 64 MiB in a row made a
step take 1.5 to 2 times as long, and another optimizer's step in the same process not. The cause
was not found; the first-level cache, which predicts the way from a hash of the address, is the
suspect. One layout would measure such luck instead of speed.
"""

from __future__ import annotations

import mmap
import random

# Up to 4 MiB: all the low bits of an address that caches look at.
MOST_PAGES = 1024


class RandomPadding:
    """Holds mappings of random length between the arrays of others, until it is dropped."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._held: list[mmap.mmap] = []

    def add(self) -> None:
        """Shift what is mapped next by a random number of pages."""
        pages = self._random.randint(1, MOST_PAGES)
        self._held.append(mmap.mmap(-1, pages * mmap.PAGESIZE))  # never touched: no memory
