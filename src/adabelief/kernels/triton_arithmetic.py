"""The five steps of Algorithm 2 on blocks of values, on the GPU: IEEE arithmetic, in C's order."""
# ruff: noqa: N803, PLR0124
# Capitals are compile-time constants; x != x where x is NaN.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def ratio(a, b):
    """A / b as IEEE 754 says; for float64 there is no other division."""
    if a.dtype == tl.float32:
        found = tl.div_rn(a, b)
    else:
        found = a / b
    return found


@triton.jit
def root(x):
    """√x as IEEE 754 says; for float64 there is no other root."""
    if x.dtype == tl.float32:
        found = tl.sqrt_rn(x)
    else:
        found = tl.sqrt(x)
    return found


@triton.jit
def elements(
    param, grad, exp_avg, exp_avg_var, most, c, AMSGRAD: tl.constexpr, COUPLED: tl.constexpr
):
    """The five steps of Algorithm 2; the operations of csrc/arithmetic.inc, in its order.

    Args:
        param: this and the following are blocks of values.
        grad: g.
        exp_avg: m.
        exp_avg_var: s.
        most: running maximum of s; not looked at without AMSGRAD.
        c: the scalars, as in `triton_step.step` from `coupled_decay` on.
        AMSGRAD: whether there is a maximum of s.
        COUPLED: whether coupled_decay matters.

    Returns:
        New (param, exp_avg, exp_avg_var, most).
    """
    coupled_decay, keep, weight, beta2, one_minus_beta2, eps, outer_eps = c[0:7]
    adaptive, direction_scale, step_size, clip_update, low, high = c[7:13]
    # Alg. 2 (1) gradient: −g to maximize (done); decay: θ ← (1 − αλ) θ, or coupled g ← g + λθ
    if COUPLED:
        grad = grad + coupled_decay * param
    param = param * keep
    # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g, from the end that is nearer, so that m reaches g
    exp_avg = tl.where(weight < 0, grad, exp_avg) + weight * (grad - exp_avg)
    # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
    residual = grad - exp_avg
    exp_avg_var = beta2 * exp_avg_var + one_minus_beta2 * (residual * residual) + eps
    belief = exp_avg_var
    if AMSGRAD:
        belief = tl.where((most > belief) | (most != most), most, belief)
    # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ), both within the scalars
    direction = exp_avg * direction_scale
    denominator = root(belief) + outer_eps
    direction = tl.where(adaptive != 0, ratio(direction, denominator), direction)
    # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε)); a NaN passes both clamps
    direction = tl.where(direction > clip_update, clip_update, direction)
    direction = tl.where(direction < -clip_update, -clip_update, direction)
    param = param - step_size * direction
    param = tl.where(param > high, high, param)
    param = tl.where(param < low, low, param)
    return param, exp_avg, exp_avg_var, belief
