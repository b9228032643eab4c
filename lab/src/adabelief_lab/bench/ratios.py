"""From times to ratios: pairs of the same round, their median and quartiles. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Median of the ratios of n rounds, and the quartiles around it."""

    median: float
    low: float
    high: float
    rounds: int


def paired(times: Sequence[float], baseline: Sequence[float]) -> Ratio:
    """How much longer than the baseline: the ratio is formed within each round, then the median.

    What else happens on the machine slows a whole round down, and falls out of its ratio.

    Args:
        times: one for each round.
        baseline: of the same rounds.

    Raises:
        ValueError: there are no rounds, or not the same number of them, or a time is not > 0.
    """
    if len(times) != len(baseline) or not times:
        msg = f"times and baseline must have the same rounds, got {len(times)} and {len(baseline)}"
        raise ValueError(msg)
    if min(*times, *baseline) <= 0:
        msg = f"times must be positive, got {min(*times, *baseline)}"
        raise ValueError(msg)
    ratios = [time / other for time, other in zip(times, baseline, strict=True)]
    low, median, high = quartiles(ratios)
    return Ratio(median, low, high, len(ratios))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third, interpolated linearly (numpy's default)."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
