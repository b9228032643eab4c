"""What tuning cost and how much it mattered: best of n trials, sensitivity to the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from adabelief_lab.declare.workload import Metric


def expected_best(values: Sequence[float | None], metric: Metric) -> list[tuple[int, float]]:
    """(n, expected best of n) for n trials drawn without replacement from those that were made.

    The unbiased form (Tang et al. 2020) of Dodge et al. 2019's curve: with v(1) ≤ ... ≤ v(N),
    E max of n = Σ_i v(i) C(i − 1, n − 1) / C(N, n).

    Args:
        values: of every trial at its end; None for one that diverged, worse than any number.
        metric: which way is better.

    Returns:
        Pairs from the smallest n on for which n trials always have a finite one among them.
    """
    sign = 1.0 if metric.direction == "max" else -1.0
    finite = sorted((sign * value for value in values if value is not None), reverse=True)
    lost, total = len(values) - len(finite), len(values)
    ranks = np.arange(total, 1, -1)
    found = []
    for n in range(lost + 1, total + 1):
        # From the best, i = N with weight n/N, down: C(i − 2, n − 1) / C(i − 1, n − 1) is
        # (i − n) / (i − 1). Two thousand trials have binomials of six hundred digits.
        weights = np.cumprod(np.concatenate([[n / total], (ranks - n) / (ranks - 1)]))
        found.append((n, sign * float(weights[: len(finite)] @ finite)))
    return found


def sensitivity(values: Sequence[float | None], worst: float, metric: Metric) -> float | None:
    """Mean loss against the best trial over all trials of the learning rate (Wortsman et al. 2023).

    0 where every learning rate does as well as the best; at equal ratios of learning rates it is
    the mean excess over the logarithm of the range.

    Args:
        values: of every trial at its end; None for one that diverged.
        worst: what a trial counts that diverged or is worse than this; the paper takes the loss at
            initialisation.
        metric: which way is better.

    Returns:
        In the metric's unit, not negative; None if no trial ended well.
    """
    sign = 1.0 if metric.direction == "max" else -1.0
    finite = [sign * value for value in values if value is not None]
    if not finite:
        return None
    best, floor = max(finite), sign * worst
    capped = [floor if value is None else max(floor, sign * value) for value in values]
    return math.fsum(best - min(best, value) for value in capped) / len(capped)
