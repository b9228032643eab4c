"""AdaBelief with the residual to the previous m: the variant that users take for the algorithm."""

from __future__ import annotations

import numpy as np

from adabelief.reference import Array


def step_sizes(
    grads: Array, beta1: float, beta2: float, eps: float, *, previous: bool
) -> tuple[Array, Array]:
    """|m̂| / (√ŝ + ε) after each step, and √ŝ + ε, both of the gradients' shape (steps, ...).

    Args:
        grads: whatever is minimised.
        beta1: β₁.
        beta2: β₂.
        eps: ε.
        previous: the residual is gₜ − mₜ₋₁ instead of Algorithm 2's gₜ − mₜ. Since
            gₜ − mₜ = β₁ (gₜ − mₜ₋₁), that multiplies s by 1/β₁² where ε does not count.
    """
    m, s = np.zeros(grads.shape[1:]), np.zeros(grads.shape[1:])
    sizes, denominators = [], []
    for step, grad in enumerate(grads, start=1):
        before = m
        m = beta1 * m + (1 - beta1) * grad
        s = beta2 * s + (1 - beta2) * (grad - (before if previous else m)) ** 2 + eps
        denominator = np.sqrt(s / (1 - beta2**step)) + eps
        sizes.append(np.abs(m / (1 - beta1**step)) / denominator)
        denominators.append(denominator)
    return np.array(sizes), np.array(denominators)
