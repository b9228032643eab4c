"""Optimization within a feasible set: Algorithm 2 with its projection, on real data.

1. Logistic regression on scikit-learn's breast cancer data, twice: with Σ |w| ≤ 3, which makes
   most weights exactly 0; and with w ≥ 0, every feature turned to speak for benign.
2. Shares of four regressors in one forecast on the diabetes data: a point of the simplex.

The constraint holds after every step. Run it with: python examples/constrained.py
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV, LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from adabelief import AdaBelief
from adabelief.feasible import FeasibleSet, L1Ball, NonNegative, Simplex

STEPS = 1000
RIDGE = 1e-2  # makes the best weights unique
REGRESSORS = {
    "least squares": LinearRegression(),
    "lasso": LassoCV(),
    "25 neighbours": KNeighborsRegressor(25),
    "forest": RandomForestRegressor(50, min_samples_leaf=5, random_state=0),
}


def cancer() -> tuple[Tensor, Tensor]:
    """569 tumours: 30 standardized features, and 1 for benign ones."""
    x, y = (torch.tensor(one, dtype=torch.float64) for one in load_breast_cancer(return_X_y=True))
    return (x - x.mean(0)) / x.std(0), y


def forecasts() -> tuple[Tensor, Tensor]:
    """442 patients: out-of-fold forecasts of the four regressors, and the truth, standardized."""
    x, y = load_diabetes(return_X_y=True)
    columns = [cross_val_predict(model, x, y, cv=5) for model in REGRESSORS.values()]
    return (torch.tensor(np.stack((*columns, y), 1)) - y.mean()).div(y.std()).split([4, 1], 1)


def logistic_loss(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Mean logistic loss and the ridge."""
    return binary_cross_entropy_with_logits(x @ weight + bias, y) + RIDGE / 2 * weight @ weight


def squared_loss(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Half the mean squared error."""
    return (x @ weight + bias - y.squeeze()).square().mean() / 2


def fit(
    loss: Callable[..., Tensor],
    x: Tensor,
    y: Tensor,
    feasible_set: FeasibleSet,
    violation: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, float]:
    """Return the best weights in the set, the bias, and the largest violation after any step."""
    weight = torch.full(x.shape[1:], 1 / x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros((), dtype=x.dtype, requires_grad=True)
    groups: list[dict[str, Any]] = [
        {"params": [weight], "feasible_set": feasible_set},
        {"params": [bias]},
    ]
    optimizer = AdaBelief(groups, lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    worst = 0.0
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.autograd.backward(loss(x, y, weight, bias))
        optimizer.step()
        schedule.step()
        worst = max(worst, violation(weight.detach()).item())
    return weight.detach(), bias.detach(), worst


def sparse() -> tuple[Tensor, Tensor, float]:
    """Few features."""
    return fit(logistic_loss, *cancer(), L1Ball(3.0), lambda w: w.abs().sum() - 3)


def turned() -> tuple[Tensor, Tensor]:
    """The features, those with a negative correlation times −1."""
    x, y = cancer()
    return x * (x.T @ (y - y.mean())).sign(), y


def non_negative() -> tuple[Tensor, Tensor, float]:
    """No feature against its own correlation."""
    return fit(logistic_loss, *turned(), NonNegative(), lambda w: -w.min())


def shares() -> tuple[Tensor, Tensor, float]:
    """A mean of forecasts."""

    def violation(weight: Tensor) -> Tensor:
        return torch.maximum(-weight.min(), (weight.sum() - 1).abs())

    return fit(squared_loss, *forecasts(), Simplex(), violation)


if __name__ == "__main__":
    for name, model in (("sparse", sparse), ("non-negative", non_negative), ("shares", shares)):
        weight, _, worst = model()
        print(f"{name}: {int((weight != 0).sum())} of {len(weight)} weights are not 0;", end=" ")
        print(f"violated by {worst:.0e} at most, after any step")
    for regressor, share in zip(REGRESSORS, weight.tolist(), strict=True):
        print(f"  {share:.3f} {regressor}")
