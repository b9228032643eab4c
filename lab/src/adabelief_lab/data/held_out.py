"""Which images tune and are not trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def last_of_each_class(labels: NDArray[np.uint8], one_in: int) -> NDArray[np.bool_]:
    """The last `one_in`-th of each class, in the order of the file: a mask of `labels`."""
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held_out[members[len(members) - len(members) // one_in :]] = True
    return held_out
