"""Time to target and performance profiles, against cases worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from adabelief_lab.analysis.time_to_target import NEVER, median_time, profile, time_to_target
from adabelief_lab.declare.workload import Metric

HIGH = Metric(name="accuracy", direction="max")
LOW = Metric(name="loss", direction="min")
ROWS: list[dict[str, Any]] = [
    {"step": 10, "split": "train", "loss": 0.1},
    {"step": 10, "split": "test", "accuracy": 0.5, "loss": 2.0},
    {"step": 20, "split": "test", "accuracy": 0.7, "loss": None},
    {"step": 30, "split": "test", "accuracy": 0.6, "loss": 1.0},
    {"step": 30, "split": "valid", "accuracy": 0.9, "loss": 0.5},
]


@pytest.mark.parametrize(
    ("metric", "target", "steps"),
    [
        (HIGH, 0.4, 10),
        (HIGH, 0.5, 10),
        (HIGH, 0.55, 20),
        (HIGH, 0.8, NEVER),  # reached on other data only
        (LOW, 2.0, 10),
        (LOW, 1.5, 30),  # the evaluation before was not finite
        (LOW, 0.4, NEVER),
    ],
)
def test_the_first_evaluation_that_is_good_enough(
    metric: Metric, target: float, steps: float
) -> None:
    assert time_to_target(ROWS, "test", metric, target) == steps


def test_a_run_without_evaluations_never_gets_there() -> None:
    assert time_to_target([], "test", HIGH, 0.0) == NEVER


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ([3.0], 3.0),
        ([1.0, 4.0], 2.5),
        ([NEVER, 1.0, 2.0], 2.0),
        ([NEVER, 1.0], NEVER),
        ([NEVER, 1.0, NEVER], NEVER),
        ([NEVER, NEVER], NEVER),
        ([], None),
    ],
)
def test_the_median_takes_never_for_the_slowest(times: list[float], median: float | None) -> None:
    assert median_time(times) == median


def test_a_profile_counts_problems_within_a_ratio_of_the_fastest() -> None:
    """Problem 3 is solved by nobody; on problem 2 b is twice as fast."""
    found = profile({"a": [1.0, 4.0, NEVER], "b": [2.0, 2.0, NEVER]}, [1.0, 2.0, 4.0])
    assert found == {"a": [1 / 3, 2 / 3, 2 / 3], "b": [1 / 3, 2 / 3, 2 / 3]}


def test_ties_are_fastest_together() -> None:
    assert profile({"a": [5.0], "b": [5.0]}, [1.0]) == {"a": [1.0], "b": [1.0]}


@pytest.mark.parametrize("times", [{}, {"a": []}, {"a": [1.0], "b": [1.0, 2.0]}])
def test_a_profile_needs_a_time_of_everybody_on_every_problem(
    times: dict[str, list[float]],
) -> None:
    with pytest.raises(ValueError, match="every optimizer needs a time on every problem, got"):
        profile(times, [1.0])
