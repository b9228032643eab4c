"""Points that are tried: fixed before the first run, inside their ranges, the same for all."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from adabelief_lab.declare.search_space import (
    Choices,
    LogRange,
    Space,
    Value,
    edges,
    grid,
    ladder,
    point_text,
    sobol,
)

SPACE: Space = {
    "lr": LogRange(low=1e-4, high=1e-1),
    "eps": LogRange(low=1e-16, high=1e-8),
    "nesterov": Choices(values=(True, False)),
}


@pytest.mark.parametrize(
    ("span", "n", "points"),
    [
        (LogRange(low=1e-4, high=1e-1), 4, [1e-4, 1e-3, 1e-2, 1e-1]),
        (LogRange(low=1e-3, high=1e-1), 1, [1e-2]),
        (LogRange(low=1e-4, high=1e-1), 5, [1e-4, 5.623e-4, 3.162e-3, 1.778e-2, 1e-1]),
    ],
)
def test_points_have_equal_ratios_and_both_ends(
    span: LogRange, n: int, points: list[float]
) -> None:
    assert span.points(n) == points
    assert ladder("lr", span, n) == [{"lr": value} for value in points]


def test_a_share_of_the_way_is_logarithmic() -> None:
    span = LogRange(low=1e-4, high=1e-2)
    assert [span.at(share) for share in (0.0, 0.25, 0.5, 1.0)] == [1e-4, 3.162e-4, 1e-3, 1e-2]


def test_choices_have_equal_shares() -> None:
    choices = Choices(values=("a", "b", "c"))
    assert [choices.at(share) for share in (0.0, 0.33, 0.34, 0.66, 0.67, 1.0)] == list("aabbcc")


def test_sobol_points_are_fixed_and_fewer_are_a_prefix() -> None:
    points = sobol(SPACE, 16)
    assert points == sobol(SPACE, 16)
    assert sobol(SPACE, 5) == points[:5]
    assert len({tuple(point.values()) for point in points}) == 16


def test_sobol_points_fill_every_part_of_every_knob() -> None:
    """2^k points of a scrambled sequence: one in each of 2^k equal parts of every knob."""
    points = sobol(SPACE, 8)
    for name in ("lr", "eps"):
        span = SPACE[name]
        assert isinstance(span, LogRange)
        corners = [span.at(i / 8) for i in range(9)]
        values = sorted(float(point[name]) for point in points)
        for value, low, high in zip(values, corners, corners[1:], strict=False):
            assert low <= value <= high
    assert sum(point["nesterov"] is True for point in points) == 4


def test_a_grid_has_every_combination_the_last_knob_fastest() -> None:
    found = grid({"beta1": Choices(values=(0.5, 0.9)), "lr": Choices(values=(1.0, 0.1, 0.01))})
    assert [tuple(point.values()) for point in found] == [
        (0.5, 1.0),
        (0.5, 0.1),
        (0.5, 0.01),
        (0.9, 1.0),
        (0.9, 0.1),
        (0.9, 0.01),
    ]


TRIED: list[dict[str, Value]] = [
    {"lr": 0.1, "eps": 1e-8, "nesterov": True},
    {"lr": 0.01, "eps": 1e-8, "nesterov": False},
    {"lr": 0.001, "eps": 1e-8, "nesterov": False},
]


@pytest.mark.parametrize(
    ("chosen", "text"), [(0, "lr high"), (1, ""), (2, "lr low")], ids=["high", "inside", "low"]
)
def test_edges_name_the_number_and_its_end(chosen: int, text: str) -> None:
    """eps was the same everywhere and a switch has no ends: neither is flagged."""
    assert edges(TRIED, TRIED[chosen]) == text


def test_every_edge_is_named() -> None:
    tried: list[dict[str, Value]] = [{"lr": 1.0, "eps": 1e-8}, {"lr": 0.1, "eps": 1e-4}]
    assert edges(tried, tried[1]) == "lr low, eps high"


def test_one_trial_has_no_edge() -> None:
    assert edges([{"lr": 1.0}], {"lr": 1.0}) == ""


def test_a_point_in_words() -> None:
    assert point_text(TRIED[1]) == "lr 0.01, eps 1e-08, nesterov false"


@pytest.mark.parametrize("low", [0.0, -1.0, 2.0, float("nan")])
def test_a_range_that_is_none_is_refused(low: float) -> None:
    with pytest.raises(ValidationError, match="0 < low < high < inf, got low="):
        LogRange(low=low, high=1.0)


@pytest.mark.parametrize("values", [(), (1.0, 1.0)])
def test_choices_must_be_different(values: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="different values, one or more, got"):
        Choices(values=values)
