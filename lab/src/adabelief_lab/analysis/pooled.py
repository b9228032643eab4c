"""Scores pooled over workloads and seeds: interquartile mean, stratified bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The standard error of a 2.5 % quantile is then some hundredth of the interval's width.
DRAWS = 10_000


def interquartile_mean(values: ArrayLike) -> float:
    """Mean of the middle half of the values (Agarwal et al. 2021).

    Where a quarter of n is not whole, the values at its border count in part, so that half of all
    weight is always in the middle.

    Raises:
        ValueError: there is no value.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if ordered.size == 0:
        msg = "the interquartile mean needs at least one value, got none"
        raise ValueError(msg)
    return float(ordered @ _weights(ordered.size))


def _weights(n: int) -> NDArray[np.float64]:
    """Share of each of n ordered values in the middle half."""
    below = np.clip(np.arange(1, n + 1) - n / 4, 0.0, 1.0)
    above = np.clip(3 * n / 4 - np.arange(n), 0.0, 1.0)
    weights: NDArray[np.float64] = np.minimum(below, above)
    return weights / weights.sum()


def bootstrap(
    scores: Mapping[str, Sequence[float]], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """(interquartile mean, low, high) of the scores of all workloads.

    Seeds are drawn with replacement within each workload (stratified), which keeps every workload's
    share; the interval is that of the percentiles. For pooled scores only: with a handful of seeds
    of one workload such an interval is too short, and `t_interval` is the right one.

    Args:
        scores: of each workload, one for each seed, on a scale that they share.
        confidence: of the interval.
        seed: of the draws.

    Raises:
        ValueError: a workload has no score.
    """
    empty = [name for name, values in scores.items() if not len(values)]
    if empty or not scores:
        msg = f"every workload needs a score, got none of {', '.join(empty) or 'any'}"
        raise ValueError(msg)
    generator = np.random.default_rng(seed)
    columns = []
    for values in scores.values():
        stratum = np.asarray(values, dtype=np.float64)
        columns.append(stratum[generator.integers(0, stratum.size, size=(DRAWS, stratum.size))])
    drawn = np.sort(np.concatenate(columns, axis=1), axis=1)
    means = drawn @ _weights(drawn.shape[1])
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    everything = np.concatenate([np.asarray(values) for values in scores.values()])
    return interquartile_mean(everything), float(low), float(high)
