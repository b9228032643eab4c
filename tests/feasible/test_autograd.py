"""Projections can be differentiated: by the point and by the metric, at points of every kind."""

from __future__ import annotations

import pytest
import torch
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

# Three rows of five: inside, outside, far outside of the balls and the halfspace; nothing is
# within 1e-3 of a kink, where no derivative exists and a difference quotient of 1e-6 would see it.
POINT = torch.tensor(
    [[0.1, -0.05, 0.02, 0.07, -0.11], [0.9, -0.4, 0.3, 0.8, -0.2], [3.0, -2.5, 0.7, -1.9, 4.0]],
    dtype=torch.float64,
)
METRIC = torch.tensor(
    [[0.3, 1.2, 0.5, 2.0, 0.9], [1.5, 0.4, 1.1, 0.7, 2.2], [0.2, 3.0, 0.8, 1.4, 0.6]],
    dtype=torch.float64,
)
NORMAL = torch.tensor([1.0, -0.5, 0.0, 2.0, 0.3], dtype=torch.float64)
SETS: list[FeasibleSet] = [
    Box(-0.5, 0.75),
    NonNegative(),
    L2Ball(0.6, dim=1),
    L2Ball(0.6, center=0.25),
    L2Ball(0.6, center=NORMAL, dim=1),
    L1Ball(1.2, dim=1),
    L1Ball(2.0),
    Simplex(dim=1),
    Simplex(2.0, dim=0),
    Hyperplane(NORMAL, 0.4, dim=1),
    Halfspace(NORMAL, 0.2, dim=1),
]
every_set = pytest.mark.parametrize("feasible", SETS, ids=repr)


@every_set
def test_the_derivative_is_that_of_difference_quotients(feasible: FeasibleSet) -> None:
    point, metric = POINT.clone().requires_grad_(), METRIC.clone().requires_grad_()
    assert torch.autograd.gradcheck(feasible.project, (point, metric))


@every_set
def test_the_scale_of_the_metric_has_no_derivative(feasible: FeasibleSet) -> None:
    """The result is the same for c · metric, so metric · ∂/∂metric is 0, row by row."""
    metric = METRIC.clone().requires_grad_()
    result = feasible.project(POINT.clone().requires_grad_(), metric)
    weights = torch.arange(1.0, 16.0, dtype=torch.float64).reshape(3, 5)
    (grad,) = torch.autograd.grad((weights * result).sum(), metric, allow_unused=True)
    if grad is not None:
        assert abs((grad * metric.detach()).sum().item()) <= 1e-12


@every_set
def test_the_derivative_is_finite_where_the_metric_is_zero(feasible: FeasibleSet) -> None:
    for rows in (slice(0, 1), slice(0, 3)):
        metric = METRIC.clone()
        metric[rows] = 0
        metric[2, 0] = 0
        metric.requires_grad_()
        point = POINT.clone().requires_grad_()
        torch.autograd.backward(feasible.project(point, metric).sum())
        for leaf in (point, metric):
            assert leaf.grad is None or leaf.grad.isfinite().all()


@every_set
def test_the_derivative_is_finite_at_the_origin(feasible: FeasibleSet) -> None:
    point, metric = torch.zeros_like(POINT).requires_grad_(), METRIC.clone().requires_grad_()
    torch.autograd.backward(feasible.project(point, metric).sum())
    assert point.grad is not None
    assert point.grad.isfinite().all()
    assert metric.grad is None or metric.grad.isfinite().all()


def test_inside_the_derivative_is_the_identity() -> None:
    point = torch.tensor([0.1, -0.2], dtype=torch.float64)
    metric = torch.tensor([1.0, 3.0], dtype=torch.float64)

    def jacobian(feasible: FeasibleSet) -> Tensor:
        return torch.func.jacrev(feasible.project)(point, metric)

    for feasible in (Box(-1, 1), L2Ball(1.0), L1Ball(1.0), Halfspace(1.0, 1.0)):
        assert torch.equal(jacobian(feasible), torch.eye(2, dtype=torch.float64))


def test_float32_points_have_float32_derivatives() -> None:
    for feasible in SETS:
        if feasible is SETS[4]:
            continue  # its center is rounded, which may put other elements first
        point, exact = POINT.float().requires_grad_(), POINT.clone().requires_grad_()
        torch.autograd.backward((feasible.project(point, METRIC.float()) ** 2).sum())
        torch.autograd.backward((feasible.project(exact, METRIC) ** 2).sum())
        assert point.grad is not None
        assert exact.grad is not None
        assert point.grad.dtype is torch.float32
        # Inputs, result and gradient are rounded, u each; the condition here is below 100.
        assert (point.grad - exact.grad).abs().max() <= 100 * 2.0**-24 * exact.grad.abs().max()
