r"""The s that AdaBelief would have, in expectation, where Adam was until now.

Adam keeps m, the same as ours, and v, the moving average of g². AdaBelief's s is the moving
average of (g − m)², another quantity, but v and m determine its expectation when the gradients
g₁ ... g_t are independent with mean μ and variance σ². By g_k − m_k = β₁ (g_k − m_{k−1}), m₀ = 0,

    E m_{k−1} = μ (1 − β₁^{k−1}),   Var m_{k−1} = ρ σ² (1 − β₁^{2(k−1)}),   ρ = (1 − β₁)/(1 + β₁)
    E (g_k − m_k)² = β₁² (σ² (1 + ρ) + (μ² − ρ σ²) β₁^{2(k−1)})

whose moving average, with q = (1 − β₂) Σ β₂^{t−k} β₁^{2(k−1)} over k = 1 ... t, is

    E s_t = β₁² (σ² ((1 + ρ)(1 − β₂ᵗ) − ρ q) + μ² q) + ε (1 − β₂ᵗ)/(1 − β₂)

For large t this is 2β₁²σ²/(1 + β₁) and the ε floor. The two unknowns are estimated from
E v̂ = μ² + σ² and E m̂² = μ² + κσ², κ = ρ (1 + β₁ᵗ)/(1 − β₁ᵗ), both without bias.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The least part of v̂ that is taken for variance. v̂ − m̂² is a difference of two estimates over
# different spans, so it is ≤ 0 or tiny by chance in some elements, and s ≈ 0 there would make
# steps without limit. Too small a belief is forgotten within 1/(1 − β₂) steps; such a step is not.
LEAST_VARIANCE = 0.1


def expected_belief(
    exp_avg: Tensor, exp_avg_sq: Tensor, step: int, betas: tuple[float, float], eps: float
) -> Tensor:
    """Return s for Adam's m and v after `step` updates.

    Args:
        exp_avg: m, any shape, real or complex (a complex number is a pair of reals).
        exp_avg_sq: v, shape and kind as `exp_avg`.
        step: t ≥ 0.
        betas: (β₁, β₂) of both optimizers, β₁ > 0.
        eps: ε of AdaBelief; not Adam's.

    Returns:
        A new tensor of the shape of `exp_avg`, in float32 or wider; with t = 1 exactly the s of
        AdaBelief, with t = 0 zeros.
    """
    wide = torch.promote_types(exp_avg.dtype, torch.float32)
    first, second = exp_avg.to(wide), exp_avg_sq.to(wide)
    if wide.is_complex:
        parts = torch.view_as_real(first), torch.view_as_real(second)
        return torch.view_as_complex(expected_belief(*parts, step, betas, eps))
    if step == 0:
        return torch.zeros_like(first)
    beta1, beta2 = betas
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    memory = (1 - beta1) / (1 + beta1)
    kappa = memory * (1 + beta1**step) / correction1
    square, second_moment = (first / correction1) ** 2, second / correction2
    # After one step m̂² = v̂ whatever the variance: κ = 1.
    variance = (second_moment - square) / (1 - kappa) if step > 1 else torch.zeros_like(first)
    variance = torch.maximum(variance, LEAST_VARIANCE * second_moment)
    square_of_mean = (square - kappa * variance).clamp_min(0)
    start = (1 - beta2) * _convolution(beta2, beta1**2, step)
    lasting = (1 + memory) * correction2 - memory * start
    floor = eps * correction2 / (1 - beta2)
    return beta1**2 * (variance * lasting + square_of_mean * start) + floor


def _convolution(x: float, y: float, terms: int) -> float:
    """Σ x^{n−k} y^{k−1} for k = 1 ... n, with x and y in [0, 1)."""
    # The quotient's relative error is about 1e-16 / (n |x − y|); the other's is n |x − y|, with
    # n of the order of 1/(1 − x) at most, as the sum is beyond counting after that.
    if abs(x - y) < 1e-9:
        return terms * x ** (terms - 1)
    return (x**terms - y**terms) / (x - y)
