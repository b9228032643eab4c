"""Theorem 2.1's bound on the regret, term by term, and that of corollary 2.1.1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adabelief.reference import Array

LAMBDA = 0.9  # λ of the corollary
# β₁ₜ/β₁ at update t = 1, 2, ..., as by the schedulers of `adabelief.schedules`.
SCHEDULES: dict[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "β₁ λᵗ⁻¹": lambda steps: LAMBDA ** (steps - 1),
    "β₁/t": lambda steps: 1 / steps,
}


@dataclass(frozen=True)
class Setting:
    """Hyperparameters; `schedule` is one of `SCHEDULES`, and α falls as 1/√t."""

    schedule: str
    beta1: float
    eps: float
    lr: float = 0.1
    beta2: float = 0.999

    def beta1s(self, steps: Array) -> Array:
        """β₁ₜ at updates `steps`, counted from 1."""
        return self.beta1 * SCHEDULES[self.schedule](np.asarray(steps, dtype=np.float64))

    def __str__(self) -> str:
        return f"{self.schedule}, β₁ = {self.beta1:g}, ε = {self.eps:g}"


def first_term(setting: Setting, diameter: float, horizon: int, root_sum: Array) -> Array:
    """D∞² √T / (2α (1 − β₁)) Σᵢ s_{T,i}^{1/2}; `root_sum` is that sum."""
    return diameter**2 * np.sqrt(horizon) / (2 * setting.lr * (1 - setting.beta1)) * root_sum


def second_term(setting: Setting, least: Array, horizon: int, norm_sum: Array) -> Array:
    """(1 + β₁) α √(1 + log T) / (2 √c (1 − β₁)³) Σᵢ ‖g²_{1:T,i}‖₂.

    Args:
        setting: α and β₁.
        least: c.
        horizon: T.
        norm_sum: the sum; each norm is √(Σ_t g_{t,i}⁴).
    """
    return np.sqrt(1 + np.log(horizon)) * direct_term(setting, least, norm_sum)


def direct_term(setting: Setting, least: Array, weighted_squares: Array) -> Array:
    """(1 + β₁) α / (2 √c (1 − β₁)³) Σᵢ Σ_t g_{t,i}² / √t; `weighted_squares` is the double sum.

    The second term comes from this one by Cauchy and Schwarz, Σ a_t / √t ≤ ‖a‖₂ √(Σ 1/t).
    """
    scale = (1 + setting.beta1) * setting.lr / (2 * (1 - setting.beta1) ** 3)
    return scale / np.sqrt(least) * weighted_squares


def third_term(setting: Setting, diameter: float, weighted_roots: Array) -> Array:
    """D∞² / (2 (1 − β₁)) Σ_t Σᵢ β₁ₜ s_{t,i}^{1/2} / α_t.

    Args:
        setting: α and β₁.
        diameter: D∞.
        weighted_roots: Σ_t β₁ₜ √t Σᵢ s_{t,i}^{1/2}.
    """
    return diameter**2 / (2 * (1 - setting.beta1) * setting.lr) * weighted_roots


def corollary_term(setting: Setting, diameter: float, largest: Array) -> Array:
    """What corollary 2.1.1 has for the third term: D∞² β₁ G∞ / (2 (1 − β₁)(1 − λ)² α).

    Args:
        setting: α and β₁.
        diameter: D∞.
        largest: G∞.
    """
    scale = 2 * (1 - setting.beta1) * (1 - LAMBDA) ** 2 * setting.lr
    return diameter**2 * setting.beta1 * largest / scale


def trivial_bound(diameter: float, largest: Array, horizon: int, dimension: int) -> Array:
    """T d D∞ G∞/2: no player loses more, since f_t(θ_t) − f_t(θ*) ≤ ⟨g_t, θ_t − θ*⟩."""
    return horizon * dimension * diameter * largest / 2
