"""Power, against cases worked by hand."""

from __future__ import annotations

import math

import pytest

from adabelief_lab.analysis.power import seeds_for
from adabelief_lab.analysis.statistics import Interval, t_quantile


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
