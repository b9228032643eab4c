"""Projections are exact, for metrics over twelve decades: random problems against other solvers.

An error e of the result x is measured where the problem lives: ‖e‖_w = √(Σ w e²), against
‖x* − y‖_w + ‖x*‖_w + ‖c‖_w, that is the distance and the size of what is computed with. Less
cannot be asked: the projection moves by up to u ‖y‖_w when the point's last bits change. Light
elements hide in that norm, so every element is looked at as well: it must be between those of the
projections onto slightly smaller and larger sets, by the rounding of the radius that the package
documents, to the roundings of the numbers it is computed from.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import projections
from adabelief.feasible import (
    FeasibleSet,
    Halfspace,
    Hyperplane,
    L1Ball,
    L2Ball,
    Simplex,
)
from projections import Wide, wide

cvxpy: Any = pytest.importorskip("cvxpy")

Rows = NDArray[np.floating]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])

METRICS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Rows]] = {
    "flat": lambda rng, shape: np.ones(shape),
    "1e-6 to 1e6": lambda rng, shape: 10 ** rng.uniform(-6, 6, shape),
    "1e-12 to 1": lambda rng, shape: 10 ** rng.uniform(-12, 0, shape),
    "ties": lambda rng, shape: rng.choice([1e-12, 1e-3, 1.0], shape),
}
POINTS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Rows]] = {
    "plain": lambda rng, shape: 3 * rng.standard_normal(shape),
    "large": lambda rng, shape: 1e6 * rng.standard_normal(shape),
    "huge": lambda rng, shape: 1e15 * rng.standard_normal(shape),
    "tiny": lambda rng, shape: 1e-6 * rng.standard_normal(shape),
    "mixed": lambda rng, shape: rng.standard_normal(shape) * 10 ** rng.uniform(-8, 8, shape),
    "ties": lambda rng, shape: rng.integers(-2, 3, shape) * 1.0,
    "near the sphere": lambda rng, shape: near(rng, shape, 2),
    "near the sum": lambda rng, shape: near(rng, shape, 1),
}
LENGTHS = [1, 2, 3, 40]
ROWS = 40


def near(rng: np.random.Generator, shape: tuple[int, int], order: int) -> Rows:
    y = rng.standard_normal(shape)
    out = 1 + 10 ** rng.uniform(-15, -1, (shape[0], 1))
    return y / np.linalg.norm(y, order, axis=-1, keepdims=True) * out


@dataclass(frozen=True)
class Kind:
    """A set, its projection by other means with the set's size scaled, and its scale."""

    make: Callable[[torch.Tensor], FeasibleSet]  # from a row of numbers: normal or center
    solve: Callable[[Wide, Wide, Wide, Wide | float], Wide]  # y, w, the row, relative change
    center: bool = False
    loose: bool = False  # the float32 result is so far inside that it may be rounded


KINDS: dict[str, Kind] = {
    "L2Ball": Kind(
        lambda row: L2Ball(0.7, dim=1),
        lambda y, w, row, grow: projections.l2_ball(y, w, 0.7 * (1 + grow)),
    ),
    "L2Ball around": Kind(
        lambda row: L2Ball(0.7, center=row, dim=1),
        lambda y, w, row, grow: projections.l2_ball(y, w, 0.7 * (1 + grow), row),
        center=True,
    ),
    "L1Ball": Kind(
        lambda row: L1Ball(1.3, dim=1),
        lambda y, w, row, grow: projections.l1_ball(y, w, 1.3 * (1 + grow)),
        loose=True,
    ),
    "Simplex": Kind(
        lambda row: Simplex(1.3, dim=1),
        lambda y, w, row, grow: projections.simplex(y, w, 1.3 * (1 + grow)),
    ),
    "Hyperplane": Kind(
        lambda row: Hyperplane(row, 0.3, dim=1),
        lambda y, w, row, grow: projections.hyperplane(y, w, row, 0.3),
    ),
    "Halfspace": Kind(
        lambda row: Halfspace(row, 0.3, dim=1),
        lambda y, w, row, grow: projections.halfspace(y, w, row, 0.3),
    ),
}
every_kind = pytest.mark.parametrize("name", KINDS)


def problems(seed: int) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Points, metrics and a row of other numbers: 40 rows of every kind, for several lengths."""
    rng = np.random.default_rng(seed)
    for n in LENGTHS:
        pairs = [
            (point(rng, (ROWS, n)), metric(rng, (ROWS, n)))
            for metric, point in itertools.product(METRICS.values(), POINTS.values())
        ]
        row = rng.standard_normal((1, n)) * 10 ** rng.uniform(-2, 2, (1, n))
        yield np.concatenate([y for y, _ in pairs]), np.concatenate([w for _, w in pairs]), row


def norm(array: Wide, w: Wide) -> Wide:
    return np.sqrt(np.sum(w * array**2, -1, keepdims=True))


@every_kind
@dtypes
def test_the_projection_is_that_of_another_solver(name: str, dtype: torch.dtype) -> None:
    kind = KINDS[name]
    u, u64 = torch.finfo(dtype).eps / 2, 2.0**-53
    for numbers in problems(seed=1):
        point, metric, row = (torch.tensor(one).to(dtype) for one in numbers)
        got = kind.make(row).project(point, metric)
        assert got.dtype is dtype
        assert got.shape == point.shape
        x, y, w, r = (wide(one.numpy()) for one in (got, point, metric, row))
        exact = kind.solve(y, w, r, 0.0)
        c = r if kind.center else 0 * r
        error = np.abs(x - exact)
        # float32: the result's own rounding, and as much again for staying within the set.
        # float64: 1e-12 is what is promised; 32 u is what it is, so that nothing slips.
        size = norm(exact - y, w) + norm(exact, w) + norm(c, w)
        assert (norm(error, w) <= 2 * u * norm(exact, w) + 32 * u64 * size).all()
        if name != "Halfspace" or dtype is torch.float64:
            change = 4 * (u if kind.loose else 0) + 4 * 2.0**-50
            spread = np.abs(kind.solve(y, w, r, change) - kind.solve(y, w, r, -change))
            largest = np.max(np.abs(y) + np.abs(exact) + np.abs(c), -1, keepdims=True)
            assert (error <= spread + 2 * u * np.abs(exact) + 1e-12 * largest).all()


@every_kind
@dtypes
def test_the_result_is_in_the_set(name: str, dtype: torch.dtype) -> None:
    u = torch.finfo(dtype).eps / 2
    for numbers in problems(seed=2):
        point, metric, row = (torch.tensor(one).to(dtype) for one in numbers)
        got = KINDS[name].make(row).project(point, metric)
        x, y, r = (wide(one.numpy()) for one in (got, point, row))
        same = (x == y).all(-1)
        # What has moved is within the set, in long double; what has not was there to float64's
        # last digits. Equations hold to the rounding of their terms.
        slack = np.where(same, 2.0**-49, 0)
        terms = np.sum(np.abs(r * x), -1)
        if name == "L2Ball":
            assert (np.sqrt(np.sum(x**2, -1)) <= wide(0.7) * (1 + slack)).all()
        elif name == "L2Ball around":
            assert (np.sqrt(np.sum((x - r) ** 2, -1)) <= wide(0.7) * (1 + slack)).all()
        elif name == "L1Ball":
            assert (np.sum(np.abs(x), -1) <= wide(1.3) * (1 + slack)).all()
        elif name == "Halfspace":
            assert (np.sum(r * x, -1) <= wide(0.3) + slack * terms).all()
        elif name == "Hyperplane":
            assert (np.abs(np.sum(r * x, -1) - wide(0.3)) <= 4 * u * (terms + 0.3)).all()
        else:
            assert (x >= 0).all()
            assert (np.abs(np.sum(x, -1) - wide(1.3)) <= 4 * u * 1.3).all()


def gap_and_bound(name: str, x: Wide, y: Wide, w: Wide, precision: float) -> tuple[Wide, Wide]:
    """How much further g = w (y − x) reaches within F than at x, and how much roundings explain.

    At the projection g has its maximum over F at x: h_F(g) = ⟨g, x⟩ for the support function h_F.
    An error e of x changes h_F(g) − ⟨g, x⟩ by at most ‖e‖_w (‖y − x‖_w + ‖z − x‖_w), with z in F
    and ‖e‖_w ≤ precision (‖y − x‖_w + ‖x‖_w).
    """
    gradient = w * (y - x)
    highest = {
        "L2Ball": lambda g: wide(0.7) * np.sqrt(np.sum(g**2, -1)),
        "L1Ball": lambda g: wide(1.3) * np.max(np.abs(g), -1),
        "Simplex": lambda g: wide(1.3) * np.max(g, -1),
    }[name](gradient)
    gap = (highest - np.sum(gradient * x, -1))[:, None]
    moved, diameter = norm(y - x, w), 2.6 * np.sqrt(np.max(w, -1, keepdims=True))
    bound = 4 * precision * (moved + norm(x, w)) * (moved + diameter)
    return np.where((x == y).all(-1, keepdims=True), 0, gap), bound


@pytest.mark.parametrize("name", ["L2Ball", "L1Ball", "Simplex"])
def test_no_point_of_the_set_is_nearer(name: str) -> None:
    for numbers in problems(seed=3):
        point, metric, row = (torch.tensor(one) for one in numbers)
        got = KINDS[name].make(row).project(point, metric)
        x, y, w = (wide(one.numpy()) for one in (got, point, metric))
        gap, bound = gap_and_bound(name, x, y, w, 32 * 2.0**-53)
        assert (gap <= bound).all()


def test_a_million_elements() -> None:
    rng = np.random.default_rng(4)
    n = 10**6
    y, w = 10 * rng.standard_normal((1, n)), 10 ** rng.uniform(-6, 6, (1, n))
    point, metric = torch.tensor(y), torch.tensor(w)
    row = torch.ones(1, n, dtype=torch.float64)
    for name in ("L2Ball", "L1Ball", "Simplex"):
        x = KINDS[name].make(row).project(point, metric).numpy()
        gap, bound = gap_and_bound(name, wide(x), wide(y), wide(w), 1e-12)
        assert (gap <= bound).all(), name
        if name == "L2Ball":
            assert math.fsum(x[0] ** 2) <= 0.7**2
        elif name == "L1Ball":
            assert math.fsum(np.abs(x[0])) <= 1.3
        else:
            assert abs(math.fsum(x[0]) - 1.3) <= 1e-15
    for name in ("Hyperplane", "Halfspace"):
        x = KINDS[name].make(row).project(point, metric).numpy()
        exact = KINDS[name].solve(wide(y), wide(w), wide(row.numpy()), 0.0)
        size = norm(exact - y, wide(w)) + norm(exact, wide(w))
        assert (norm(x - exact, wide(w)) <= 1e-12 * size).all(), name


def test_a_million_equal_elements_do_not_drift() -> None:
    """A running sum of 0.1 is wrong by 1e-11 of itself after a million; the result must not be."""
    n = 10**6
    point = torch.full((n + 1,), 0.1, dtype=torch.float64)
    metric = torch.ones_like(point)
    # Without the last element every result would be total / n; it is above τ by 4e-12 τ.
    total = 1e-3 * n
    tau = 0.1 - 1e-3
    point[-1] = tau + 4e-12 * tau
    x = Simplex(total).project(point, metric)
    # τ rises by 4e-12 τ / (n + 1), which is nothing; 1e-16 is the rounding of 0.1 − τ.
    assert abs(x[-1].item() - 4e-12 * tau) <= 4e-16
    assert (x[:-1] - 1e-3).abs().max() <= 4e-16


def test_the_weights_can_be_seen_by_hand() -> None:
    point = torch.tensor([2.0, 2.0], dtype=torch.float64)
    metric = torch.tensor([1.0, 3.0], dtype=torch.float64)
    # τ (1/1 + 1/3) = 4 − 1 makes τ = 9/4: 2 − 9/4 < 0, so the first is 0 and the second all.
    assert Simplex(1.0).project(point, metric).tolist() == [0, 1]
    # τ (1 + 1/3) = 4 − 2: τ = 3/2.
    assert Simplex(2.0).project(point, metric).tolist() == [0.5, 1.5]
    assert Hyperplane(1.0, 2.0).project(point, metric).tolist() == [0.5, 1.5]
    negative = torch.tensor([-2.0, 2.0], dtype=torch.float64)
    ball = L1Ball(2.0).project(negative, metric)
    assert torch.allclose(ball, torch.tensor([-0.5, 1.5], dtype=torch.float64), rtol=1e-15)


@pytest.mark.parametrize("name", ["L2Ball", "L1Ball", "Simplex", "Hyperplane", "Halfspace"])
@dtypes
def test_a_zero_metric_is_the_limit_of_a_vanishing_one(name: str, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(5)
    u = torch.finfo(dtype).eps / 2
    kind = KINDS[name]
    for n, scale in itertools.product([1, 2, 5, 20], [1e-3, 1.0, 1e3]):
        point = torch.tensor(scale * rng.standard_normal((ROWS, n))).to(dtype)
        metric = torch.tensor(10 ** rng.uniform(-6, 6, (ROWS, n))).to(dtype)
        metric[torch.tensor(rng.random((ROWS, n)) < 0.5)] = 0
        metric[0] = 0
        row = torch.tensor(rng.standard_normal((1, n))).to(dtype)
        got = kind.make(row).project(point, metric)
        w = wide(metric.numpy())
        w = np.where(w == 0, wide(1e-60), w)  # in the limit, to far below float64's last digit
        w[0] = 1
        exact = kind.solve(wide(point.numpy()), w, wide(row.numpy()), 0.0)
        largest = np.max(np.abs(point.numpy()), -1, keepdims=True) + np.abs(exact)
        assert (np.abs(wide(got.numpy()) - exact) <= 64 * u * largest).all()


def test_what_costs_nothing_moves_first() -> None:
    point = torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64)
    metric = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    # The free elements share the way until they are used up; only then the other one moves.
    assert Hyperplane(1.0, 6.0).project(point, metric).tolist() == [0, 4, 2]
    assert Simplex(6.0).project(point, metric).tolist() == [0, 4, 2]
    assert Simplex(1.0).project(point, metric).tolist() == [0, 1, 0]


def test_the_lightest_elements_are_weighed_against_each_other() -> None:
    """Float32's √ŝ has 42 decades at most; here are 38, and the light ones still count."""
    point = torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64)
    metric = torch.tensor([1e-19, 3e-19, 1e19], dtype=torch.float64)
    for feasible in (Simplex(4.0), Hyperplane(1.0, 4.0)):
        assert feasible.project(point, metric).tolist() == pytest.approx([0.5, 1.5, 2], rel=1e-15)


@dtypes
def test_cvxpy_agrees(dtype: torch.dtype) -> None:
    """Clarabel stops at a relative gap of 1e-8, so its x is good to √1e-8 = 1e-4 of its scale."""
    rng = np.random.default_rng(6)
    for n, name in itertools.product([2, 6], KINDS):
        for _ in range(3):
            point = torch.tensor(2 * rng.standard_normal((1, n))).to(dtype)
            metric = torch.tensor(10 ** rng.uniform(-2, 2, (1, n))).to(dtype)
            row = torch.tensor(rng.standard_normal((1, n))).to(dtype)
            y, w, r = (one[0].double().numpy() for one in (point, metric, row))
            solution = by_cvxpy(name, y, w, r)
            got = KINDS[name].make(row).project(point, metric)[0].double().numpy()
            scale = np.linalg.norm(np.sqrt(w) * y) + np.linalg.norm(np.sqrt(w) * got)
            assert np.linalg.norm(np.sqrt(w) * (got - solution)) <= 1e-4 * scale, name


def by_cvxpy(name: str, y: Rows, w: Rows, r: Rows) -> Rows:
    """The projection of one point, by an interior-point method for cones."""
    x = cvxpy.Variable(y.size)
    constraints = {
        "L2Ball": [cvxpy.norm(x) <= 0.7],
        "L2Ball around": [cvxpy.norm(x - r) <= 0.7],
        "L1Ball": [cvxpy.norm1(x) <= 1.3],
        "Simplex": [x >= 0, cvxpy.sum(x) == 1.3],
        "Hyperplane": [r @ x == 0.3],
        "Halfspace": [r @ x <= 0.3],
    }[name]
    distance = cvxpy.sum_squares(cvxpy.multiply(np.sqrt(w), x - y))
    cvxpy.Problem(cvxpy.Minimize(distance), constraints).solve(solver=cvxpy.CLARABEL)
    return x.value


def test_a_zero_weighs_nothing_beside_the_lightest_weight() -> None:
    """It gives way alone, to all digits, beside one that is just not negligible."""
    metric = torch.tensor([0.0, 2.0**-159, 1.0], dtype=torch.float64)
    point = Hyperplane(1.0, 0.0).project(torch.ones(3, dtype=torch.float64), metric)
    expected = torch.tensor([-2.0, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(point, expected, rtol=0, atol=1e-12)
