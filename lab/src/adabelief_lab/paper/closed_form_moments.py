"""v and s of Adam and AdaBelief for gradients that are known in advance, and in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adabelief.reference import Array, algorithm2

# The paper's settings for its toy problems (section 2.2).
BETAS, EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Moments:
    """After each step: bias-corrected m̂, v̂ (Adam) and ŝ (AdaBelief), as `grads`."""

    exp_avg: Array
    exp_avg_sq: Array
    exp_avg_var: Array


def moments(grads: Array, betas: tuple[float, float] = BETAS, eps: float = EPS) -> Moments:
    """Run both recursions on gradients of shape (steps, ...).

    s is of `reference.algorithm2`; v of Kingma & Ba 2015, Algorithm 1.
    """
    beta1, beta2 = betas
    m, s, v = (np.zeros(grads.shape[1:]) for _ in range(3))
    found: list[tuple[Array, Array, Array]] = []
    for step, grad in enumerate(grads, start=1):
        _, m, s = algorithm2(np.zeros_like(m), grad, m, s, step, 0.0, beta1, beta2, eps)
        v = beta2 * v + (1 - beta2) * grad**2
        bias1, bias2 = 1 - beta1**step, 1 - beta2**step
        found.append((m / bias1, v / bias2, s / bias2))
    return Moments(*(np.stack(each) for each in zip(*found, strict=True)))


def constant(steps: Array, betas: tuple[float, float] = BETAS, eps: float = EPS) -> Array:
    """ŝ of g = 1, 1, 1, ... exactly: the residual at step k is β₁ᵏ, since m = 1 − β₁ᵏ.

    (1 − β₂) β₁² (β₂ᵗ − β₁²ᵗ) / (β₂ − β₁²) / (1 − β₂ᵗ) + ε / (1 − β₂).
    """
    beta1, beta2 = betas
    geometric = beta1**2 * (beta2**steps - beta1 ** (2 * steps)) / (beta2 - beta1**2)
    return (1 - beta2) * geometric / (1 - beta2**steps) + eps / (1 - beta2)


def alternating(steps: Array, betas: tuple[float, float] = BETAS, eps: float = EPS) -> Array:
    """ŝ of g = −1, 1, −1, ... exactly.

    The residual at step k is (2 β₁ (−1)ᵏ + (1 − β₁) β₁ᵏ) / (1 + β₁): its square is a sum of three
    geometric sequences, of ratios 1, −β₁ and β₁².
    """
    beta1, beta2 = betas
    total = np.zeros_like(steps, dtype=np.float64)
    for weight, ratio in (
        (4 * beta1**2, 1.0),
        (4 * beta1 * (1 - beta1), -beta1),
        ((1 - beta1) ** 2, beta1**2),
    ):
        # Σₖ₌₁ᵗ β₂ᵗ⁻ᵏ rᵏ
        total = total + weight * ratio * (beta2**steps - ratio**steps) / (beta2 - ratio)
    squares = (1 - beta2) * total / (1 + beta1) ** 2
    return squares / (1 - beta2**steps) + eps / (1 - beta2)
