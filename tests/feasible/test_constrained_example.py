"""The example of feasible sets: constraints hold at every step, and the end is the optimum."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from paths import EXAMPLES

minimize: Any = pytest.importorskip("scipy.optimize").minimize
EXAMPLE = EXAMPLES / "constrained.py"
Vector = NDArray[np.float64]
# AdaBelief's end and scipy's each prove, by their own duality gap, how near the optimum they are;
# this is what is asked of AdaBelief after its 1000 steps.
GAP = 1e-12


@cache
def constrained() -> ModuleType:
    spec = importlib.util.spec_from_file_location("constrained", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def problem(name: str) -> tuple[Tensor, Tensor, Callable[..., Tensor], float]:
    """Data, loss, and the strong convexity μ of the loss in the weights."""
    module = constrained()
    if name == "shares":
        x, y = module.forecasts()
        least = torch.linalg.eigvalsh(x.T.cov(correction=0))[0].item()
        return x, y, module.squared_loss, least
    x, y = module.cancer() if name == "sparse" else module.turned()
    return x, y, module.logistic_loss, module.RIDGE


@cache
def found(name: str) -> tuple[Vector, float, float]:
    weight, bias, worst = getattr(constrained(), name)()
    return weight.numpy(), bias.item(), worst


def value_and_gradient(name: str, weight: Vector, bias: float) -> tuple[float, Vector, float]:
    x, y, loss, _ = problem(name)
    w, b = torch.tensor(weight, requires_grad=True), torch.tensor(bias, dtype=torch.float64)
    b.requires_grad_()
    value = loss(x, y, w, b)
    of_weight, of_bias = torch.autograd.grad(value, (w, b))
    return value.item(), of_weight.numpy(), of_bias.item()


def gap(name: str, weight: Vector, bias: float) -> float:
    """F(w, b) − F* is at most this: the largest fall of the tangent towards a feasible point.

    The best weights have μ/2 ‖w*‖² ≤ F(0, 0) = log 2 and so ‖w*‖ ≤ R. The best intercept makes
    the mean probability that of the classes, so some |x·w* + b*| is below 1: |b*| ≤ R max ‖x‖ + 1.
    For the shares, b* is the mean of y − x·w*.
    """
    x, y, _, strength = problem(name)
    _, gradient, of_bias = value_and_gradient(name, weight, bias)
    here = float(gradient @ weight)
    if name == "shares":
        intercept = abs(bias) + float(x.abs().max() + y.abs().max())
        return here - float(gradient.min()) + abs(of_bias) * intercept
    radius = np.sqrt(2 * np.log(2) / strength)
    intercept = abs(bias) + radius * float(x.norm(dim=1).max()) + 1
    if name == "sparse":
        best = -3 * float(np.abs(gradient).max())
    else:
        best = -radius * float(np.linalg.norm(np.minimum(gradient, 0)))
    return here - best + abs(of_bias) * intercept


def by_scipy(name: str) -> tuple[Vector, float]:
    """Sequential quadratic programming; |w| ≤ 3 as w = p − q with p, q ≥ 0."""
    signs = np.array([1.0, -1.0] if name == "sparse" else [1.0])
    n = problem(name)[0].shape[1]

    def both(v: Vector) -> tuple[float, Vector]:
        weight = signs @ v[:-1].reshape(len(signs), n)
        value, gradient, of_bias = value_and_gradient(name, weight, v[-1])
        return value, np.append(np.outer(signs, gradient), of_bias)

    ones = np.append(np.ones(len(signs) * n), 0.0)
    sums: list[dict[str, Any]] = {
        "sparse": [{"type": "ineq", "fun": lambda v: 3 - ones @ v, "jac": lambda v: -ones}],
        "non_negative": [],
        "shares": [{"type": "eq", "fun": lambda v: ones @ v - 1, "jac": lambda v: ones}],
    }[name]
    end = minimize(
        both,
        ones / n / len(signs),
        jac=True,
        method="SLSQP",
        bounds=[(0, None)] * (len(ones) - 1) + [(None, None)],
        constraints=sums,
        options={"ftol": 1e-15, "maxiter": 1000},
    ).x
    return signs @ end[:-1].reshape(len(signs), n), float(end[-1])


every_problem = pytest.mark.parametrize("name", ["sparse", "non_negative", "shares"])


@every_problem
def test_the_constraint_holds_after_every_step(name: str) -> None:
    # Exactly for the inequalities; the sum over four shares is right to float64's last digits.
    assert found(name)[2] <= (4 * 2.0**-53 if name == "shares" else 0)


@every_problem
def test_the_end_is_the_optimum(name: str) -> None:
    """‖w − w*‖² ≤ 2 (F(w) − F*) / μ for AdaBelief's weights as for scipy's."""
    weight, bias, _ = found(name)
    ours = gap(name, weight, bias)
    assert -1e-15 <= ours <= GAP
    other, intercept = by_scipy(name)
    theirs = max(gap(name, other, intercept), 0.0)
    strength = problem(name)[3]
    allowed = np.sqrt(2 * max(ours, 0.0) / strength) + np.sqrt(2 * theirs / strength)
    assert np.linalg.norm(weight - other) <= allowed + 1e-12
    assert allowed <= 0.05  # neither of the two proofs is an empty one


def test_the_constraints_matter() -> None:
    """Weights at 0, the sum at its bound, shares at 0: the free optimum is somewhere else."""
    sparse, _, _ = found("sparse")
    assert 1 <= np.count_nonzero(sparse) <= 15
    assert np.abs(sparse).sum() == pytest.approx(3, rel=1e-12)
    assert 1 <= np.count_nonzero(found("non_negative")[0]) < 30
    shares, _, _ = found("shares")
    assert np.count_nonzero(shares) >= 2
    assert (shares >= 0).all()


def test_it_reads_like_documentation() -> None:
    text = EXAMPLE.read_text("utf-8")
    assert len(text.splitlines()) <= 120
    assert "Run it with: python examples/constrained.py" in text
