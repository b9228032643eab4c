"""Pooled scores, unpaired permutation tests and power, against cases worked by hand."""

from __future__ import annotations

import math

import pytest

from adabelief_lab.analysis.pooled import bootstrap, interquartile_mean
from adabelief_lab.analysis.power import seeds_for
from adabelief_lab.analysis.statistics import Interval, t_quantile
from adabelief_lab.analysis.unpaired import permutation_p, smallest_unpaired_p


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0], 1.5),
        # 3/4 of a value is cut at each end: (0.25·1 + 2 + 0.25·6) / 1.5
        ([6.0, 1.0, 2.0], 2.5),
        ([4.0, 1.0, 2.0, 3.0], 2.5),
        # 1 1/4 are cut at each end: (0.75·1 + 2 + 0.75·3) / 2.5
        ([100.0, 0.0, 1.0, 2.0, 3.0], 2.0),
        ([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 9.0, 9.0], 1.0),
    ],
)
def test_interquartile_mean(values: list[float], mean: float) -> None:
    assert interquartile_mean(values) == pytest.approx(mean)


def test_the_bootstrap_draws_within_each_workload() -> None:
    """Every draw has two zeros and two ones: their middle half is always 0.5."""
    assert bootstrap({"a": [0.0, 0.0], "b": [1.0, 1.0]}) == (0.5, 0.5, 0.5)


def test_the_bootstrap_s_interval_is_that_of_the_draws() -> None:
    """The mean of two draws from 0 and 1 is 0, 1/2 or 1, with 1/4, 1/2 and 1/4."""
    assert bootstrap({"a": [0.0, 1.0]}) == (0.5, 0.0, 1.0)
    assert bootstrap({"a": [0.0, 1.0]}, confidence=0.4) == (0.5, 0.5, 0.5)
    assert bootstrap({"a": [0.0, 1.0, 5.0]}, seed=3) == bootstrap({"a": [0.0, 1.0, 5.0]}, seed=3)


@pytest.mark.parametrize("scores", [{}, {"a": [1.0], "b": []}])
def test_the_bootstrap_needs_scores(scores: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="every workload needs a score"):
        bootstrap(scores)


@pytest.mark.parametrize(
    ("ours", "theirs", "p"),
    [
        # of C(6, 3) = 20 splits only these two have a difference of 3
        ([3.0, 4.0, 5.0], [0.0, 1.0, 2.0], 2 / 20),
        # {1, 4} against {2, 3}, and all others: no split has a smaller difference than 0
        ([1.0, 4.0], [2.0, 3.0], 1.0),
        ([1.0, 1.0], [1.0, 1.0], 1.0),
        ([1.0], [0.0], 1.0),
        # sizes differ: only {10} itself is as far out
        ([10.0], [0.0, 1.0, 2.0], 1 / 4),
        # a tie of 2: {2, 3} and {2', 3} above, {0, 2} and {0, 2'} below, of 6
        ([2.0, 3.0], [0.0, 2.0], 4 / 6),
    ],
)
def test_permutation_p(ours: list[float], theirs: list[float], p: float) -> None:
    assert permutation_p(ours, theirs) == pytest.approx(p)
    assert permutation_p(theirs, ours) == pytest.approx(p)
    shifted = ([x + 1000.1 for x in ours], [x + 1000.1 for x in theirs])
    assert permutation_p(*shifted) == pytest.approx(p)


def test_many_values_are_drawn_and_the_p_is_never_zero() -> None:
    ours, theirs = [float(i) for i in range(40, 60)], [float(i) for i in range(20)]
    assert permutation_p(ours, theirs) == pytest.approx(1 / 100_000)
    same = [0.0, 1.0] * 10
    assert permutation_p(same, same) == 1.0


@pytest.mark.parametrize(("n", "m", "p"), [(3, 3, 0.1), (4, 4, 2 / 70), (1, 3, 0.25), (1, 1, 1.0)])
def test_smallest_unpaired_p(n: int, m: int, p: float) -> None:
    assert smallest_unpaired_p(n, m) == pytest.approx(p)
    apart = permutation_p([100.0 + i for i in range(n)], [float(i) for i in range(m)])
    assert apart == pytest.approx(p)


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.0]), ([1.0], []), ([1.0], [math.inf])])
def test_groups_must_be_finite_and_not_empty(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="both groups need finite values, at least one, got"):
        permutation_p(ours, theirs)


def interval(mean: float, deviation: float, n: int) -> Interval:
    return Interval(mean, t_quantile(0.975, n - 1) * deviation / math.sqrt(n), n)


@pytest.mark.parametrize(
    ("mean", "deviation", "comparisons", "seeds"),
    [
        # (2.262 + 0.842)² = 9.6 ≤ 10, and (2.306 + 0.842)² = 9.9 > 9: the textbooks' 10
        (1.0, 1.0, 1, 10),
        (-1.0, 1.0, 1, 10),
        # half the difference: (2.035 + 0.842)² · 4 = 33.1 ≤ 34, one fewer is not enough
        (0.5, 1.0, 1, 34),
        # far apart: the fewest with which 2^(1 − n) ≤ 0.05 k
        (100.0, 1.0, 1, 6),
        (100.0, 1.0, 5, 8),
        (0.0, 1.0, 1, None),
        (0.001, 1.0, 1, None),
    ],
)
def test_seeds_for_a_difference(
    mean: float, deviation: float, comparisons: int, seeds: int | None
) -> None:
    assert seeds_for(interval(mean, deviation, 7), comparisons) == seeds


def test_one_pair_says_nothing_about_seeds() -> None:
    assert seeds_for(Interval(1.0, None, 1), 1) is None
