"""The laws of projections, for points and metrics that hypothesis chooses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adabelief.feasible import (
    Box,
    FeasibleSet,
    Halfspace,
    Hyperplane,
    L1Ball,
    L2Ball,
    NonNegative,
    Simplex,
)

N = 5
ROW = torch.tensor([1.0, -0.5, 0.25, 2.0, -1.5])  # exact in both dtypes
SETS: list[FeasibleSet] = [
    Box(-0.5, 0.75),
    NonNegative(),
    L2Ball(0.75),
    L2Ball(0.75, center=ROW),
    L1Ball(1.25),
    Simplex(1.25),
    Hyperplane(ROW, 0.5),
    Halfspace(ROW, 0.5),
]
INEQUALITIES = [one for one in SETS if not isinstance(one, Simplex | Hyperplane)]
COUPLED = [one for one in SETS if not isinstance(one, Box | NonNegative)]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
every_set = pytest.mark.parametrize("feasible", SETS, ids=repr)
every_inequality = pytest.mark.parametrize("feasible", INEQUALITIES, ids=repr)


def vectors(low: float, high: float) -> st.SearchStrategy[Tensor]:
    """Five elements of either sign, zeros and ties among them, over the orders low to high."""
    size = st.floats(low, high).map(lambda order: 10.0**order)
    signed = st.tuples(size, st.sampled_from([-1.0, 1.0])).map(math.prod)
    element = st.one_of(signed, st.sampled_from([0.0, 0.25, -0.25, 1.0, 3.0]))
    return st.lists(element, min_size=N, max_size=N).map(
        lambda one: torch.tensor(one, dtype=torch.float64)
    )


points = vectors(-8, 8)
metrics = vectors(-6, 6).map(lambda one: one.abs().clamp_min(1e-6))


def norm(vector: Tensor, metric: Tensor) -> Tensor:
    return (metric.double() * vector.double() ** 2).sum().sqrt()


def rounding(feasible: FeasibleSet, metric: Tensor, *vectors: Tensor) -> Tensor:
    """‖error‖_w of what is computed from these vectors, as in test_feasible_exact."""
    row = ROW if isinstance(feasible, L2Ball) else 0 * ROW
    u = torch.finfo(vectors[0].dtype).eps / 2
    return 32 * u * (norm(row, metric) + torch.stack([norm(v, metric) for v in vectors]).sum())


@every_set
@dtypes
@given(first=points, second=points, metric=metrics)
def test_a_projection_brings_points_no_further_apart(
    feasible: FeasibleSet, dtype: torch.dtype, first: Tensor, second: Tensor, metric: Tensor
) -> None:
    first, second, metric = first.to(dtype), second.to(dtype), metric.to(dtype)
    left, right = feasible.project(first, metric), feasible.project(second, metric)
    apart = norm(first.double() - second.double(), metric)
    error = rounding(feasible, metric, first, second, left, right)
    assert norm(left.double() - right.double(), metric) <= apart + error


@every_set
@dtypes
@given(point=points, other=points, metric=metrics)
def test_the_angle_to_every_point_of_the_set_is_obtuse(
    feasible: FeasibleSet, dtype: torch.dtype, point: Tensor, other: Tensor, metric: Tensor
) -> None:
    """⟨w (y − x), z − x⟩ ≤ 0 for z in the set, which is what makes x the nearest one."""
    point, metric = point.to(dtype), metric.to(dtype)
    x = feasible.project(point, metric).double()
    z = feasible.project(other.to(dtype), torch.ones(N, dtype=dtype)).double()
    moved = point.double() - x
    # An error e of x, and z being off by its own roundings, change the product to first order by
    error = rounding(feasible, metric, point, x.to(dtype))
    off = rounding(feasible, metric, z.to(dtype))
    allowed = error * (norm(moved, metric) + norm(z - x, metric)) + off * norm(moved, metric)
    assert (metric.double() * moved * (z - x)).sum() <= allowed


@every_inequality
@dtypes
@given(point=points, metric=metrics, other=metrics)
def test_what_is_in_the_set_stays_bit_for_bit(
    feasible: FeasibleSet, dtype: torch.dtype, point: Tensor, metric: Tensor, other: Tensor
) -> None:
    once = feasible.project(point.to(dtype), metric.to(dtype))
    for again in (metric, other, 0 * metric):
        assert torch.equal(feasible.project(once, again.to(dtype)), once)


def test_points_on_the_boundary_are_in_the_set() -> None:
    for dtype in (torch.float32, torch.float64):
        for feasible, numbers in (
            (L2Ball(5.0), [3.0, 4.0]),
            (L2Ball(1.0), [0.6, 0.8]),
            (L2Ball(0.5, center=2.0), [2.3, 2.4]),
            (L1Ball(1.0), [0.1] * 10),
            (L1Ball(6.0), [1.0, -2.0, 3.0]),
            (Halfspace(1.0, 0.6), [0.1, 0.2, 0.3]),
            (Halfspace(1.0, 0.0), [-0.0, 0.0]),
            (Box(-0.1, 0.1), [0.1, -0.1, -0.0]),
            (NonNegative(), [0.0, -0.0]),
        ):
            point = torch.tensor(numbers, dtype=torch.float64).to(dtype)
            if dtype is torch.float32 and isinstance(feasible, L2Ball | L1Ball | Halfspace):
                point = torch.tensor(numbers, dtype=dtype) * (1 - 2.0**-22)  # rounded, inside
            result = feasible.project(point, torch.rand(len(numbers)).to(dtype))
            assert torch.equal(result, point), (feasible, dtype)
            assert torch.equal(result.signbit(), point.signbit())


@pytest.mark.parametrize("feasible", [Simplex(1.25), Hyperplane(ROW, 0.5)], ids=repr)
@dtypes
@given(point=points, metric=metrics)
def test_projecting_twice_changes_roundings_only(
    feasible: FeasibleSet, dtype: torch.dtype, point: Tensor, metric: Tensor
) -> None:
    once = feasible.project(point.to(dtype), metric.to(dtype))
    twice = feasible.project(once, metric.to(dtype))
    change = norm(twice.double() - once.double(), metric)
    assert change <= rounding(feasible, metric, once)


@every_set
@dtypes
@given(point=points, metric=metrics, power=st.sampled_from([-30, -7, 3, 30]))
def test_the_scale_of_the_metric_does_not_matter(
    feasible: FeasibleSet, dtype: torch.dtype, point: Tensor, metric: Tensor, power: int
) -> None:
    # In float32 the exact factor's range is what fits; the metric itself is rounded by it.
    point, metric = point.to(dtype), metric.to(dtype)
    exact = 2.0 ** (3 * power if dtype is torch.float64 else power)
    scaled = metric * exact
    assert torch.equal(feasible.project(point, scaled), feasible.project(point, metric))
    x = feasible.project(point, metric * torch.tensor(10.0**power, dtype=dtype))
    change = norm(x.double() - feasible.project(point, metric).double(), metric)
    assert change <= rounding(feasible, metric, point, x)


@pytest.mark.parametrize("feasible", COUPLED, ids=repr)
@dtypes
def test_nan_and_infinity_stay_within_their_slice(
    feasible: FeasibleSet, dtype: torch.dtype
) -> None:
    options = {**vars(feasible), "dim": 1}
    rows = type(feasible)(**options)
    random = torch.Generator().manual_seed(0)
    point = 3 * torch.randn(4, N, generator=random, dtype=torch.float64).to(dtype)
    metric = torch.rand(4, N, generator=random, dtype=torch.float64).to(dtype)
    clean = rows.project(point, metric)
    point[1, 2] = torch.nan
    point[2, 3] = torch.inf
    metric[3, 1] = torch.inf
    result = rows.project(point, metric)
    assert torch.equal(result[0], clean[0])
    assert result[1].isnan().all()
    assert result[2].isnan().all()
    inside = torch.equal(clean[3], point[3])
    assert torch.equal(result[3], point[3]) if inside else result[3].isnan().all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("feasible", COUPLED, ids=repr)
@dtypes
def test_one_element_that_is_not_finite_spoils_its_point_wherever_it_is(
    feasible: FeasibleSet, dtype: torch.dtype, value: float
) -> None:
    """Also -inf, which a simplex could take for an element that is 0."""
    rows = type(feasible)(**{**vars(feasible), "dim": 1})
    point = torch.linspace(-3.0, 2.0, N, dtype=dtype).repeat(N, 1)
    point.fill_diagonal_(value)
    result = rows.project(point, torch.ones_like(point))
    unmoved = [
        torch.equal(new.nan_to_num(), old.nan_to_num())
        for new, old in zip(result, point, strict=True)
    ]
    spoilt = result.isnan().all(dim=1).tolist()
    assert all(one or other for one, other in zip(spoilt, unmoved, strict=True))


def test_nan_stays_where_it_is_in_a_box() -> None:
    point = torch.tensor([torch.nan, 2.0, -torch.inf, torch.inf])
    for feasible, rest in ((Box(-1, 1), [1.0, -1.0, 1.0]), (NonNegative(), [2.0, 0.0, math.inf])):
        result = feasible.project(point, torch.ones(4))
        assert result[0].isnan()
        assert result[1:].tolist() == rest


@every_set
@given(point=points, metric=vectors(-150, 150).map(torch.abs))
def test_no_finite_point_and_metric_make_nan(
    feasible: FeasibleSet, point: Tensor, metric: Tensor
) -> None:
    for dtype in (torch.float64, torch.float32):
        y, w = point.to(dtype), metric.to(dtype)
        for weights in (w.nan_to_num(posinf=torch.finfo(dtype).max), 0 * point.to(dtype)):
            assert feasible.project(y, weights).isfinite().all()


def test_squares_may_overflow() -> None:
    point = torch.tensor([1e200, 2.0, -1e160], dtype=torch.float64)
    for weights in ([1.0, 1.0, 1.0], [1e-12, 1.0, 1e-6], [1.0, 1e-12, 0.0]):
        metric = torch.tensor(weights, dtype=torch.float64)
        for feasible in (L2Ball(1.0), L2Ball(1.0, center=1.0), L1Ball(1.0), Simplex(1.0)):
            result = feasible.project(point, metric)
            assert result.isfinite().all()
            around = result - (feasible.center if isinstance(feasible, L2Ball) else 0)
            size = around.norm() if isinstance(feasible, L2Ball) else around.abs().sum()
            assert abs(size - 1) <= 2.0**-48


def test_a_point_without_a_normal_is_left_alone() -> None:
    normal = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    point, metric = torch.tensor([[3.0, 1.0], [3.0, 1.0]]), torch.ones(2, 2)
    for plane in (Hyperplane(normal, -2.0, dim=1), Halfspace(normal, -2.0, dim=1)):
        result = plane.project(point, metric)
        assert (result[0] - torch.tensor([0.0, -2.0])).abs().max() <= 2.0**-22
        assert torch.equal(result[1], point[1])


def test_an_element_without_a_normal_does_not_set_the_scale() -> None:
    """Its metric may be as large as it likes: the others are not negligible beside it."""
    normal = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    metric = torch.tensor([1e200, 1.0, 3.0], dtype=torch.float64)
    point = torch.tensor([7.0, 2.0, 2.0], dtype=torch.float64)
    assert Hyperplane(normal, 2.0).project(point, metric).tolist() == [7.0, 0.5, 1.5]
