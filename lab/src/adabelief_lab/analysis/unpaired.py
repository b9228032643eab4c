"""Exact permutation test of two independent groups, for runs whose seeds are not paired."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from adabelief_lab.analysis.statistics import MONTE_CARLO_DRAWS, RELATIVE_TOLERANCE

# C(22, 11) = 705,432 sums take a second.
MOST_SPLITS = 1_000_000


def permutation_p(ours: ArrayLike, theirs: ArrayLike, seed: int = 0) -> float:
    """Two-sided p-value of the difference of means (Fisher 1935; Pitman 1937).

    If it does not matter which group a value came from, every split into groups of these sizes is
    as likely: p is the share of splits whose difference is at least as large. All are counted up
    to `MOST_SPLITS`, else seeded random ones of which b are as extreme give (b + 1) / (m + 1).

    Raises:
        ValueError: a group is empty, or a value is not finite.
    """
    first, second = (np.asarray(group, dtype=np.float64).ravel() for group in (ours, theirs))
    if not first.size or not second.size or not np.isfinite([*first, *second]).all():
        msg = (
            "both groups need finite values, at least one, "
            f"got {first.tolist()} and {second.tolist()}"
        )
        raise ValueError(msg)
    values = np.concatenate([first, second])
    values = values - values.mean()  # the difference grows with |Σ of the first group|
    n, size = values.size, first.size
    bound = abs(float(values[:size].sum())) - RELATIVE_TOLERANCE * float(np.abs(values).sum())
    splits = math.comb(n, size)
    if splits <= MOST_SPLITS:
        extreme = sum(abs(sum(group)) >= bound for group in combinations(values.tolist(), size))
        return extreme / splits
    generator = np.random.default_rng(seed)
    drawn = (generator.permutation(values)[:size].sum() for _ in range(MONTE_CARLO_DRAWS))
    extreme = sum(abs(total) >= bound for total in drawn)
    return (extreme + 1) / (MONTE_CARLO_DRAWS + 1)


def smallest_unpaired_p(ours: int, theirs: int) -> float:
    """The smallest two-sided p of groups of these sizes: 2 / C(n + m, n), 1 / C if n ≠ m."""
    splits = math.comb(ours + theirs, ours)
    return min(1.0, (2 if ours == theirs else 1) / splits)
