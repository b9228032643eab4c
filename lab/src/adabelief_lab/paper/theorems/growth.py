"""How fast a quantity grows: the slope of its logarithm over that of T."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adabelief.reference import Array


def slopes(times: Sequence[float] | Array, values: Array) -> Array:
    """Exponent p of value ≈ constant · Tᵖ, by least squares on logarithms, each time weighing one.

    Args:
        times: T, two at least.
        values: positive, (T, ...); each of the others is fitted by itself.

    Raises:
        ValueError: a value is not positive, or there are fewer than two times.
    """
    logs = np.log(np.asarray(times, dtype=np.float64))
    if len(logs) < 2 or len(logs) != len(values):
        msg = f"values must be of two times or more, one for each, got {len(values)}"
        raise ValueError(msg)
    if not (np.asarray(values) > 0).all():
        msg = f"values must be > 0 to have a logarithm, got {np.min(values):g}"
        raise ValueError(msg)
    centred = logs - logs.mean()
    fitted: Array = np.tensordot(centred, np.log(values), axes=1) / (centred @ centred)
    return fitted
