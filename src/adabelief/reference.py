"""Algorithm 2 of Zhuang et al. (NeurIPS 2020) in NumPy: what every other path is tested against.

| paper | here              | in the optimizer       | shape                            |
| ----- | ----------------- | ---------------------- | -------------------------------- |
| θ     | `param`           | the parameter          | any                              |
| g     | `grad`            | its gradient           | as `param`                       |
| m     | `exp_avg`         | state `exp_avg`        | as `param`                       |
| s     | `exp_avg_var`     | state `exp_avg_var`    | as `param`, ≥ 0                  |
| max s | `max_exp_avg_var` | the same, with amsgrad | as `param`, ≥ 0                  |
| t     | `step`            | state `step`           | scalar, 1 at the first update    |
| α     | `lr`              | `lr`                   | scalar                           |
| β₁ β₂ | `beta1`, `beta2`  | `betas`                | scalars                          |
| ε     | `eps`             | `eps`                  | scalar, in s and beside √ŝ       |
| λ     | `weight_decay`    | `weight_decay`         | scalar                           |
| Π_F   | `project`         | -                      | (point, metric √ŝ) -> point of F |

Pure functions on float64 arrays; nothing is changed in place; nothing of this package is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Projection = Callable[[Array, Array], Array]


def everywhere(point: Array, metric: Array) -> Array:
    """Π_F for F = ℝⁿ: the point itself."""
    del metric
    return point


def algorithm2(
    param: Array,
    grad: Array,
    exp_avg: Array,
    exp_avg_var: Array,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-16,
    project: Projection = everywhere,
) -> tuple[Array, Array, Array]:
    """Return (param, exp_avg, exp_avg_var) after update number `step`.

    Two steps that can be checked by hand, with β₁ = β₂ = 1/2, ε = 0 and α = 3/4:

    >>> theta, m, s = algorithm2(np.float64(10), 4, 0, 0, 1, 0.75, 0.5, 0.5, 0)
    >>> print(theta, m, s)  # m = 4/2; g - m = 2; s = 2²/2; m̂ = ŝ = 4; 10 - 0.75 * 4 / √4
    8.5 2.0 2.0
    >>> theta, m, s = algorithm2(theta, 6, m, s, 2, 0.75, 0.5, 0.5, 0)
    >>> print(theta, m, s)  # m = 2/2 + 6/2; s = 2/2 + 2²/2; m̂ = 16/3; ŝ = 4; 8.5 - 0.75 * 8/3
    6.5 4.0 3.0
    """
    # Alg. 2 (1) gradient: g is what the caller measured
    # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
    exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
    exp_avg_var = beta2 * exp_avg_var + (1 - beta2) * (grad - exp_avg) ** 2 + eps
    # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ)
    exp_avg_hat = exp_avg / (1 - beta1**step)
    root = np.sqrt(exp_avg_var / (1 - beta2**step))
    # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε))
    return project(param - lr * (exp_avg_hat / (root + eps)), root), exp_avg, exp_avg_var


@dataclass(frozen=True)
class State:
    """What one parameter carries from step to step; `max_exp_avg_var` moves with amsgrad only."""

    param: Array
    exp_avg: Array
    exp_avg_var: Array
    max_exp_avg_var: Array
    step: int = 0


def initial(param: Array) -> State:
    """State before the first step: m₀ = s₀ = 0, t = 0."""
    param = np.asarray(param, dtype=np.float64)
    zero = np.zeros_like(param)
    return State(param, zero, zero, zero)


def adabelief(
    state: State,
    grad: Array,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-16,
    weight_decay: float = 0.0,
    *,
    decoupled_weight_decay: bool = True,
    fixed_decay: bool = False,
    amsgrad: bool = False,
    rectify: bool = False,
    bias_correction: bool = True,
    clip_update: float | None = None,
    maximize: bool = False,
    project: Projection = everywhere,
) -> State:
    """Algorithm 2 with the published options; bit for bit `algorithm2` when all are off.

    Sources: decoupled decay, Loshchilov & Hutter 2019; fixed decay, the authors' code (which
    shrinks at lr = 0 too, where nothing moves here); amsgrad, the paper's "element-wise maximum
    between s_t and s_{t+1}" (section 2.3); rectify, RAdam (Liu et al. 2020), with ρ > 5 as in
    its published code; no bias correction, the paper's theorems; `clip_update` is ours: a cap on
    every element of the update direction.
    """
    beta1, beta2 = betas
    step = state.step + 1
    param = state.param
    # Alg. 2 (1) gradient: −g to maximize; decay: θ ← (1 − αλ) θ, or coupled g ← g + λθ
    if maximize:
        grad = -grad
    if weight_decay and decoupled_weight_decay:
        param = param * (1 - weight_decay if fixed_decay and lr else 1 - lr * weight_decay)
    elif weight_decay:
        grad = grad + weight_decay * param
    # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
    exp_avg = beta1 * state.exp_avg + (1 - beta1) * grad
    # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
    exp_avg_var = beta2 * state.exp_avg_var + (1 - beta2) * (grad - exp_avg) ** 2 + eps
    max_exp_avg_var = np.maximum(state.max_exp_avg_var, exp_avg_var) if amsgrad else exp_avg_var
    # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ)
    exp_avg_hat = exp_avg / (1 - beta1**step) if bias_correction else exp_avg
    root = np.sqrt(max_exp_avg_var / (1 - beta2**step) if bias_correction else max_exp_avg_var)
    # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε))
    factor = rectification(step, beta2) if rectify else 1.0
    update = exp_avg_hat if factor is None else exp_avg_hat / (root + eps)
    if clip_update is not None:
        update = np.clip(update, -clip_update, clip_update)
    if factor is not None and rectify:
        update = factor * update
    param = project(param - lr * update, root)
    kept_max = max_exp_avg_var if amsgrad else state.max_exp_avg_var
    return replace(state, param=param, exp_avg=exp_avg, exp_avg_var=exp_avg_var,
                   max_exp_avg_var=kept_max, step=step)  # fmt: skip


def rectification(step: int, beta2: float) -> float | None:
    """RAdam's r_t, or None while the variance is intractable (ρ_t ≤ 5): then m̂ alone is used.

    Liu et al. 2020, Algorithm 2, with the threshold of the published code (the text has 4).
    """
    sma_max = 2 / (1 - beta2) - 1
    sma_length = sma_max - 2 * step * beta2**step / (1 - beta2**step)
    if sma_length <= 5:
        return None
    numerator = (sma_length - 4) * (sma_length - 2) * sma_max
    return float(np.sqrt(numerator / ((sma_max - 4) * (sma_max - 2) * sma_length)))
