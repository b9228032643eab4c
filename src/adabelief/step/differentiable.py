"""Algorithm 2 without in-place arithmetic: what autograd may differentiate through.

Elementwise but for the projection. Never writes to `grads`. New values are copied in at the end,
so that nothing which autograd saved is overwritten.
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
    """Do one step; arguments as in `step.multi_tensor.update`."""
    for i, (stored, stored_grad) in enumerate(zip(params, grads, strict=True)):
        dtype, own = exp_avgs[i].dtype, c.of(i)
        # clone: what is saved for the backward pass must not be what is overwritten below.
        param, grad = stored.to(dtype, copy=True), stored_grad.to(dtype)
        # Alg. 2 (1) gradient: −g to maximize; decay: θ ← (1 − αλ) θ, or coupled g ← g + λθ
        if own.maximize:
            grad = -grad
        if own.coupled_decay is not None:
            grad = grad + own.coupled_decay * param
        if own.keep is not None:
            param = own.keep * param
        # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
        exp_avg = own.beta1 * exp_avgs[i].clone() + (1 - own.beta1) * grad
        # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
        surprise = (grad - exp_avg) ** 2
        exp_avg_var = own.beta2 * exp_avg_vars[i].clone() + (1 - own.beta2) * surprise + own.eps
        belief = exp_avg_var
        if own.amsgrad:
            belief = torch.maximum(max_exp_avg_vars[i].clone(), exp_avg_var)
            max_exp_avg_vars[i].copy_(belief)
        # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ), both within the scalars
        root = torch.sqrt(belief)
        denominator = root + own.outer_eps
        if isinstance(own.adaptive, Tensor):
            denominator = torch.where(own.adaptive, denominator, 1.0)
        # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε))
        direction = own.direction_scale * exp_avg
        if own.adaptive is not False:
            direction = direction / denominator
        if own.clip_update is not None:
            direction = direction.clamp(-own.clip_update, own.clip_update)
        param = param - own.step_size * direction
        if projections:
            param = projections[i](param, root * own.metric_scale)
        exp_avgs[i].copy_(exp_avg)
        exp_avg_vars[i].copy_(exp_avg_var)
        stored.copy_(param)
