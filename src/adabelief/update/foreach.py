"""Algorithm 2, every operation over all tensors at once (torch._foreach_*): few calls or kernels.

Elementwise. Never writes to `grads`. All tensors of a call share device and dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adabelief.coefficients import Coefficients


def update(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
) -> None:
    """Do one step in place on `params` and state; arguments as in `update.loop.update`."""
    stored, dtype = params, exp_avgs[0].dtype
    if params[0].dtype != dtype:
        params = [param.to(dtype) for param in params]
    if any(grad.dtype != dtype for grad in grads):
        grads = [grad.to(dtype) for grad in grads]
    # Alg. 2 (1) gradient: −g to maximize; decay: θ ← (1 − αλ) θ, or coupled g ← g + λθ
    if c.maximize:
        grads = list(torch._foreach_neg(grads))
    if c.coupled_decay:
        grads = list(torch._foreach_add(grads, params, alpha=c.coupled_decay))
    if c.keep != 1:
        torch._foreach_mul_(params, c.keep)
    # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
    torch._foreach_lerp_(exp_avgs, grads, 1 - c.beta1)
    # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
    residuals = torch._foreach_sub(grads, exp_avgs)
    torch._foreach_mul_(exp_avg_vars, c.beta2)
    torch._foreach_addcmul_(exp_avg_vars, residuals, residuals, value=1 - c.beta2)
    torch._foreach_add_(exp_avg_vars, c.eps)
    beliefs = exp_avg_vars
    if c.amsgrad:
        beliefs = max_exp_avg_vars
        torch._foreach_maximum_(beliefs, exp_avg_vars)
    # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ), both within the scalars
    denominators = torch._foreach_sqrt(beliefs)
    torch._foreach_add_(denominators, c.outer_eps)
    # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε))
    if c.clip_update is None and c.adaptive:
        value = -c.step_size * c.direction_scale
        torch._foreach_addcdiv_(params, exp_avgs, denominators, value=value)
    else:
        directions = torch._foreach_mul(exp_avgs, c.direction_scale)
        if c.adaptive:
            torch._foreach_div_(directions, denominators)
        if c.clip_update is not None:
            torch._foreach_clamp_min_(directions, -c.clip_update)
            torch._foreach_clamp_max_(directions, c.clip_update)
        torch._foreach_sub_(params, directions, alpha=c.step_size)
    if params is not stored:
        torch._foreach_copy_(stored, params)
