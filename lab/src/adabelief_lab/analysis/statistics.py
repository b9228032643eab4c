"""Intervals and exact paired tests for a handful of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

# 2^20 sign patterns are 8 MB and some 10 ms; each further seed doubles both.
MAX_ENUMERATED = 20
# The smallest reachable p is 1e-5, and p near 0.05 has a standard error below 0.0007.
MONTE_CARLO_DRAWS = 99_999
# Draws at once: 8 bytes for each and each pair, so that a thousand pairs need 8 MB.
BLOCK = 1_000
# Sums of up to 2^5 terms round to within 2^5 * 2^-53 of the sum of magnitudes: far below this.
RELATIVE_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Interval:
    """A mean and the half-width of its interval; the half-width is None for one value."""

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Lower end, None for one value."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """Upper end, None for one value."""
        return None if self.half_width is None else self.mean + self.half_width


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a paired sign-flip test.

    Args:
        p: two-sided p-value.
        sign: +1, 0 or -1: the side on which the observed statistic lies.
        n: number of pairs.
        ranked: the statistic is made of signed ranks because a difference was infinite.
    """

    p: float
    sign: int
    n: int
    ranked: bool


def t_quantile(probability: float, dof: int) -> float:
    """Quantile of Student's t distribution with `dof` = 1, 2, ... degrees of freedom.

    P(|T| > t) = I_y(ν/2, 1/2) with y = ν / (ν + t²) (Abramowitz & Stegun 1964, 26.5.27).

    Raises:
        ValueError: `probability` is not in (0, 1), or `dof` is less than 1.
    """
    # Not scipy.stats.t.ppf: before scipy 1.17 it has nine correct digits.
    from scipy.special import betaincinv  # noqa: PLC0415, a third of a second

    if not 0.0 < probability < 1.0:
        msg = f"probability must be in (0, 1), got {probability}"
        raise ValueError(msg)
    if dof < 1:
        msg = f"dof must be at least 1, got {dof}"
        raise ValueError(msg)
    both_tails = 1.0 - abs(2.0 * probability - 1.0)
    y = float(betaincinv(dof / 2, 0.5, both_tails))
    return math.copysign(math.sqrt(dof * (1.0 - y) / y), probability - 0.5)


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of `values`, ± t s / √n with t the quantile of n − 1 degrees of freedom.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    sample = _finite_vector(values)
    n = sample.size
    mean = float(sample.mean())
    if n == 1:
        return Interval(mean, None, 1)
    quantile = t_quantile((1.0 + confidence) / 2.0, n - 1)
    return Interval(mean, quantile * float(sample.std(ddof=1)) / math.sqrt(n), n)


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """Two-sided p-value of the paired sign-flip permutation test (Fisher 1935).

    If the two members of each pair are exchangeable, each difference is as likely to carry
    either sign: p = #{signs : |Σ ± d| ≥ |Σ d|} / 2^n over all 2^n sign patterns. Above
    `MAX_ENUMERATED` pairs, m seeded random patterns of which b are as extreme give
    p = (b + 1) / (m + 1) (Phipson & Smyth 2010), which is still a valid p-value.

    Sums that differ by rounding only count as equal.

    Raises:
        ValueError: there is no difference, or one is not finite.
    """
    vector = _finite_vector(differences)
    bound = abs(float(vector.sum())) - RELATIVE_TOLERANCE * float(np.abs(vector).sum())
    if vector.size > MAX_ENUMERATED:
        generator = np.random.default_rng(seed)
        extreme = 0
        for begun in range(0, MONTE_CARLO_DRAWS, BLOCK):
            shape = (min(BLOCK, MONTE_CARLO_DRAWS - begun), vector.size)
            signs = 1 - 2 * generator.integers(0, 2, size=shape, dtype=np.int8)
            sums = signs.astype(np.float64) @ vector  # of one type, by BLAS
            extreme += int(np.count_nonzero(np.abs(sums) >= bound))
        return (extreme + 1) / (MONTE_CARLO_DRAWS + 1)
    sums = np.zeros(1)
    for difference in vector:
        sums = np.concatenate([sums + difference, sums - difference])
    return int(np.count_nonzero(np.abs(sums) >= bound)) / sums.size


def signed_ranks(differences: ArrayLike) -> NDArray[np.float64]:
    """Rank of each |difference| with its sign; ties share their mean rank, zeros get 0.

    Infinite differences are legal and share the highest ranks. Zeros take part in the ranking
    before they are set to 0 (Pratt 1959).
    """
    vector = np.asarray(differences, dtype=np.float64)
    sizes = np.abs(vector)
    scale = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
    sizes[sizes <= RELATIVE_TOLERANCE * scale] = 0.0
    order = np.argsort(sizes, kind="stable")
    with np.errstate(invalid="ignore"):  # inf − inf is nan, "not greater": a tie, as wanted
        starts_group = np.diff(sizes[order]) > RELATIVE_TOLERANCE * scale
    group = np.concatenate([[0], np.cumsum(starts_group)])
    positions = np.arange(1, vector.size + 1, dtype=np.float64)
    means = np.bincount(group, weights=positions) / np.bincount(group)
    ranks = np.empty_like(vector)
    ranks[order] = means[group]
    return cast("NDArray[np.float64]", np.where(sizes > 0.0, np.sign(vector) * ranks, 0.0))


def paired_test(differences: ArrayLike) -> PairedTest:
    """Sign-flip test of the differences, or of their signed ranks if one is infinite.

    A diverged run is worse than any number, so its pair differs by ±∞ and no mean exists.
    The signed rank (Wilcoxon 1945) keeps what is known, the sign and that nothing is larger.
    The test stays exact: it conditions on the magnitudes, and whether one of them is infinite
    does not depend on the signs, which alone are random under the hypothesis.
    """
    vector = np.asarray(differences, dtype=np.float64)
    ranked = bool(np.isinf(vector).any())
    scores = signed_ranks(vector) if ranked else vector
    total = float(scores.sum())
    sign = int(np.sign(total)) if abs(total) > RELATIVE_TOLERANCE * np.abs(scores).sum() else 0
    return PairedTest(sign_flip_p(scores), sign, vector.size, ranked)


def smallest_p(n: int) -> float:
    """The smallest two-sided p that n pairs can reach: 2 / 2^n, all signs agreeing."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(comparisons: int, alpha: float = 0.05) -> int:
    """Fewest pairs with which Holm's test of `comparisons` can reach alpha: 2^(1−n) k ≤ α."""
    n = 1
    while smallest_p(n) * comparisons > alpha:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, in the order given (Holm 1979).

    With p(1) ≤ ... ≤ p(k):  adjusted(i) = max over j ≤ i of min(1, (k − j + 1) p(j)).
    """
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def _finite_vector(values: ArrayLike) -> NDArray[np.float64]:
    vector = np.asarray(values, dtype=np.float64).ravel()
    if vector.size == 0 or not np.isfinite(vector).all():
        msg = f"values must be finite and at least one, got {vector.tolist()}"
        raise ValueError(msg)
    return vector
