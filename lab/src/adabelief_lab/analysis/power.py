"""How many seeds a difference like the one that was seen would need."""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist

from adabelief_lab.analysis.statistics import Interval, seeds_needed, t_quantile

POWER = 0.8
# Beyond, a number of seeds says "hopeless" and nothing more.
MOST_SEEDS = 1_000


def seeds_for(difference: Interval, comparisons: int, alpha: float = 0.05) -> int | None:
    """About how many paired seeds let Holm's first test find this difference with power 0.8.

    The smallest n with n ≥ ((t + z) s / d)², t the quantile of n − 1 degrees of freedom at
    α / (2 k) and z the normal one of the power, taking the mean and the standard deviation that
    were seen for the true ones; and never fewer than can decide anything (`seeds_needed`). A rough
    guide: the estimate of s from a few seeds is itself uncertain by half of it.

    Args:
        difference: interval of the paired differences; its half-width gives s back.
        comparisons: k, how many tests there are.
        alpha: level of the verdicts.

    Returns:
        None where no number up to `MOST_SEEDS` is enough, as for a difference of 0, or where there
        is only one pair.
    """
    if difference.half_width is None or difference.mean == 0:
        return None
    n = difference.n
    deviation = difference.half_width * math.sqrt(n) / t_quantile(0.975, n - 1)
    ratio = deviation / abs(difference.mean)
    z = NormalDist().inv_cdf(POWER)

    def enough(seeds: int) -> bool:
        t = t_quantile(1 - alpha / (2 * comparisons), seeds - 1)
        return seeds >= ((t + z) * ratio) ** 2

    candidates = range(max(2, seeds_needed(comparisons, alpha)), MOST_SEEDS + 1)
    found = bisect_left(candidates, True, key=enough)  # t falls: enough stays enough
    return candidates[found] if found < len(candidates) else None
