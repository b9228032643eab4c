"""The curve of figure 1 and its three cases: the gradients there, and each optimizer's steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim import SGD, Adam, Optimizer

from adabelief import AdaBelief
from adabelief.reference import Array

# Slopes of the curve at x, linear between: flat, a long even slope, and a valley whose bottom is
# narrower than any step. The paper draws the curve without numbers; ours are chosen such that
# slopes differ by 1,000 and nobody leaves a region within the steps.
FLAT, STEEP = 0.01, 10.0
KNOTS = (0.0, 1200.0, 1250.0, 3000.0, 3000.0 + 1e-6, 3200.0)
SLOPES = (-FLAT, -FLAT, -STEEP, -STEEP, STEEP, STEEP)
LR, STEPS, LAST = 1e-3, 3000, 300
BETAS, EPS = (0.9, 0.999), 1e-8  # section 2.2


@dataclass(frozen=True)
class Case:
    """A region of the curve.

    Args:
        name: as in table 1.
        what: in words.
        start: where the optimizers begin.
        ideal: "S" or "L", the stepsize that table 1 asks for.
        paper: what it says of each optimizer.
        grad: "S" or "L" for |g|, and for |gₜ − gₜ₋₁|.
    """

    name: str
    what: str
    start: float
    ideal: str
    paper: Mapping[str, str]
    grad: tuple[str, str]


CASES = (
    Case("1", "flat", 100.0, "L", {"SGD": "S", "Adam": "L", "AdaBelief": "L"}, ("S", "S")),
    Case("2", "valley", 2999.999, "S", {"SGD": "L", "Adam": "S", "AdaBelief": "S"}, ("L", "L")),
    Case("3", "even slope", 1300.0, "L", {"SGD": "L", "Adam": "S", "AdaBelief": "L"}, ("L", "S")),
)


def slope(x: float) -> float:
    """f′(x); the curve goes on straight on both sides."""
    return float(np.interp(x, KNOTS, SLOPES))


def height(x: Array) -> Array:
    """f(x), 0 at the first knot: the integral of a piecewise linear function."""
    knots, slopes = np.array(KNOTS), np.array(SLOPES)
    areas = np.diff(knots) * (slopes[1:] + slopes[:-1]) / 2
    sums = np.concatenate([[0.0], np.cumsum(areas)])
    left = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 1)
    here = np.interp(x, knots, slopes)
    return sums[left] + (x - knots[left]) * (slopes[left] + here) / 2


def optimizer(name: str, x: torch.nn.Parameter) -> Optimizer:
    """With the paper's settings and `LR`."""
    if name == "SGD":
        return SGD([x], LR, momentum=0.9)
    if name == "Adam":
        return Adam([x], LR, BETAS, EPS)
    return AdaBelief([x], LR, BETAS, EPS)


@dataclass(frozen=True)
class Walk:
    """What one optimizer did in one case, means over the last steps.

    Args:
        path: x before each step.
        grad: |g|.
        change: |gₜ − gₜ₋₁|.
        step: |Δθ|.
        factor: the number that the direction is multiplied with: α / (√v̂ + ε), α / (√ŝ + ε), α.
    """

    path: Array
    grad: float
    change: float
    step: float
    factor: float


def walk(name: str, case: Case) -> Walk:
    """Run the optimizer from the case's start."""
    x = torch.nn.Parameter(torch.tensor([case.start], dtype=torch.float64))
    made = optimizer(name, x)
    path, grads, factors = [x.item()], [], []
    for step in range(1, STEPS + 1):
        grads.append(slope(x.item()))
        x.grad = torch.tensor([grads[-1]], dtype=torch.float64)
        made.step()
        path.append(x.item())
        factors.append(_factor(name, made.state[x], step))
    last = slice(-LAST, None)
    return Walk(
        path=np.array(path),
        grad=float(np.mean(np.abs(grads[last]))),
        change=float(np.mean(np.abs(np.diff(grads)[last]))),
        step=float(np.mean(np.abs(np.diff(path)[last]))),
        factor=float(np.mean(factors[last])),
    )


def _factor(name: str, state: Mapping[str, torch.Tensor], step: int) -> float:
    keys = {"Adam": "exp_avg_sq", "AdaBelief": "exp_avg_var"}
    if name not in keys:
        return LR
    second = state[keys[name]].item() / (1 - BETAS[1] ** step)
    return LR / (float(np.sqrt(second)) + EPS)


def letters(values: Mapping[str, float], at_least: float = 2.0) -> dict[str, str]:
    """S or L for each case: below or above the geometric middle of the smallest and the largest.

    "=" for all where the largest is not even `at_least` times the smallest.
    """
    low, high = min(values.values()), max(values.values())
    if low <= 0 or high < at_least * low:
        return dict.fromkeys(values, "=")
    middle = np.sqrt(low * high)
    return {name: "L" if value > middle else "S" for name, value in values.items()}
