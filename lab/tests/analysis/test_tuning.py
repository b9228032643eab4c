"""Best of n trials and sensitivity to the learning rate, against cases worked by hand."""

from __future__ import annotations

import itertools
import math

import pytest

from adabelief_lab.analysis.tuning import expected_best, sensitivity
from adabelief_lab.declare.workload import Metric

HIGH = Metric(name="accuracy", direction="max")
LOW = Metric(name="loss", direction="min")


@pytest.mark.parametrize(
    ("values", "metric", "expected"),
    [
        # n = 2: (2·1 + 3·2 + 4·3) / 6 pairs; n = 3: (3·1 + 4·3) / 4 triples
        ([1.0, 2.0, 3.0, 4.0], HIGH, [(1, 2.5), (2, 10 / 3), (3, 15 / 4), (4, 4.0)]),
        ([4.0, 2.0, 1.0, 3.0], LOW, [(1, 2.5), (2, 5 / 3), (3, 5 / 4), (4, 1.0)]),
        # ties: pairs (2, 2), (2, 3), (2, 3)
        ([2.0, 3.0, 2.0], HIGH, [(1, 7 / 3), (2, 8 / 3), (3, 3.0)]),
        # one diverged: a single trial may be that one; pairs (×, 1), (×, 2), (1, 2)
        ([None, 1.0, 2.0], HIGH, [(2, 5 / 3), (3, 2.0)]),
        ([None, 1.0, 2.0], LOW, [(2, 4 / 3), (3, 1.0)]),
        ([0.5], HIGH, [(1, 0.5)]),
        ([None, None], HIGH, []),
        ([], HIGH, []),
    ],
)
def test_expected_best(
    values: list[float | None], metric: Metric, expected: list[tuple[int, float]]
) -> None:
    found = expected_best(values, metric)
    assert [n for n, _ in found] == [n for n, _ in expected]
    assert [best for _, best in found] == pytest.approx([best for _, best in expected])


def test_expected_best_is_the_mean_over_all_subsets() -> None:
    values: list[float | None] = [0.3, 0.9, 0.1, 0.7, 0.7]
    for n, best in expected_best(values, HIGH):
        subsets = list(itertools.combinations([v for v in values if v is not None], n))
        assert best == pytest.approx(math.fsum(map(max, subsets)) / len(subsets))


@pytest.mark.parametrize(
    ("values", "worst", "metric", "expected"),
    [
        # below the best by 0, 0.1, and twice 0.3: diverged, and cut off at the worst
        ([0.9, 0.8, None, 0.5], 0.6, HIGH, 0.7 / 4),
        ([1.0, 3.0, None], 2.0, LOW, 2 / 3),
        ([0.5, 0.5, 0.5], 0.0, HIGH, 0.0),
        ([0.5], 0.0, HIGH, 0.0),
        # all are worse than the worst that counts
        ([5.0, 7.0], 2.0, LOW, 0.0),
        ([None, None], 2.0, LOW, None),
        ([], 2.0, LOW, None),
    ],
)
def test_sensitivity(
    values: list[float | None], worst: float, metric: Metric, expected: float | None
) -> None:
    assert sensitivity(values, worst, metric) == (
        None if expected is None else pytest.approx(expected)
    )
