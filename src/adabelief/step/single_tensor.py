"""Algorithm 2, one tensor after the other: the plain path, fastest on CPU for large tensors.

Elementwise but for the projection. Never writes to `grads`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adabelief.step.projection import Projection
from adabelief.step.scalars import Coefficients


def update(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
    projections: Sequence[Projection] = (),
) -> None:
    """Do one step in place on `params` and state.

    Args:
        params: of any dtype; half precision is computed in the state's dtype and rounded once.
        grads: as `params`; read only.
        exp_avgs: m, float32 or float64, shapes as `params`.
        exp_avg_vars: s, as `exp_avgs`.
        max_exp_avg_vars: running maximum of s with amsgrad, else empty.
        c: the scalars of this step, floats, the same for all tensors.
        projections: for each tensor (point, metric √ŝ) -> point of F; empty without one.
    """
    for i, (stored, stored_grad) in enumerate(zip(params, grads, strict=True)):
        exp_avg, exp_avg_var = exp_avgs[i], exp_avg_vars[i]
        param, grad = stored.to(exp_avg.dtype), stored_grad.to(exp_avg.dtype)
        # Alg. 2 (1) gradient: −g to maximize; decay: θ ← (1 − αλ) θ, or coupled g ← g + λθ
        if c.maximize:
            grad = -grad
        if c.coupled_decay is not None:
            grad = grad.add(param, alpha=c.coupled_decay)
        if c.keep is not None:
            param.mul_(c.keep)
        # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
        exp_avg.lerp_(grad, 1 - c.beta1)
        # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
        residual = grad - exp_avg
        exp_avg_var.mul_(c.beta2).addcmul_(residual, residual, value=1 - c.beta2).add_(c.eps)
        belief = exp_avg_var
        if c.amsgrad:
            belief = max_exp_avg_vars[i]
            torch.maximum(belief, exp_avg_var, out=belief)
        # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ), both within the scalars
        denominator = torch.sqrt(belief, out=residual)
        metric = denominator * c.metric_scale if projections else denominator
        denominator.add_(c.outer_eps)
        # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε))
        if c.clip_update is None and c.adaptive:
            param.addcdiv_(exp_avg, denominator, value=-c.step_size * c.direction_scale)
        else:
            direction = exp_avg / denominator if c.adaptive else exp_avg.clone()
            direction.mul_(c.direction_scale)
            if c.clip_update is not None:
                direction.clamp_(-c.clip_update, c.clip_update)
            param.sub_(direction, alpha=c.step_size)
        if projections:
            param = projections[i](param, metric)
        if param is not stored:
            stored.copy_(param)
