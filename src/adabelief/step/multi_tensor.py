"""Algorithm 2, every operation over all tensors at once (torch._foreach_*): few calls or kernels.

Elementwise but for the projection. Never writes to `grads`. All tensors of a call share device
and dtype.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adabelief.step.projection import Projection
from adabelief.step.scalars import Coefficients, Scalar


def update(  # noqa: PLR0912, PLR0915, the algorithm in one piece
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
    projections: Sequence[Projection] = (),
) -> None:
    """Do one step in place on `params` and state.

    Arguments as in `step.single_tensor.update`; scalars may be tensors of shape (n,), one number
    for each array, which are then never looked at by the host.
    """
    stored, dtype = params, exp_avgs[0].dtype
    if params[0].dtype != dtype:
        params = [param.to(dtype) for param in params]
    if any(grad.dtype != dtype for grad in grads):
        grads = [grad.to(dtype) for grad in grads]
    # Alg. 2 (1) gradient: −g to maximize; decay: θ ← (1 − αλ) θ, or coupled g ← g + λθ
    if c.maximize:
        grads = list(torch._foreach_neg(grads))
    if isinstance(c.coupled_decay, Tensor):
        grads = list(torch._foreach_addcmul(grads, params, _each(c.coupled_decay)))
    elif c.coupled_decay is not None:
        grads = list(torch._foreach_add(grads, params, alpha=c.coupled_decay))
    if c.keep is not None:
        torch._foreach_mul_(params, _each(c.keep))
    # Alg. 2 (2) moment: m ← β₁ m + (1 − β₁) g
    torch._foreach_lerp_(exp_avgs, grads, _each(1 - c.beta1))
    # Alg. 2 (3) belief: s ← β₂ s + (1 − β₂)(g − m)² + ε, with the new m
    residuals = torch._foreach_sub(grads, exp_avgs)
    torch._foreach_mul_(exp_avg_vars, _each(c.beta2))
    if isinstance(c.beta2, Tensor):
        weighted = torch._foreach_mul(residuals, _each(1 - c.beta2))
        torch._foreach_addcmul_(exp_avg_vars, residuals, weighted)
    else:
        torch._foreach_addcmul_(exp_avg_vars, residuals, residuals, value=1 - c.beta2)
    torch._foreach_add_(exp_avg_vars, c.eps)
    beliefs = exp_avg_vars
    if c.amsgrad:
        beliefs = max_exp_avg_vars
        torch._foreach_maximum_(beliefs, exp_avg_vars)
    # Alg. 2 (4) corrections: m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ), both within the scalars
    denominators = torch._foreach_sqrt(beliefs)
    metrics = torch._foreach_mul(denominators, _each(c.metric_scale)) if projections else ()
    torch._foreach_add_(denominators, _each(c.outer_eps))
    if isinstance(c.adaptive, Tensor):
        pairs = zip(c.adaptive.unbind(), denominators, strict=True)
        denominators = tuple(torch.where(adaptive, each, 1.0) for adaptive, each in pairs)
    # Alg. 2 (5) update: θ ← Π_{F,√ŝ}(θ − α m̂ / (√ŝ + ε))
    traced = isinstance(c.direction_scale, Tensor)
    if c.clip_update is None and c.adaptive is not False and not traced:
        value = -c.step_size * c.direction_scale
        torch._foreach_addcdiv_(params, exp_avgs, denominators, value=value)
    else:
        directions = torch._foreach_mul(exp_avgs, _each(c.direction_scale))
        if c.adaptive is not False:
            torch._foreach_div_(directions, denominators)
        if c.clip_update is not None:
            torch._foreach_clamp_min_(directions, -c.clip_update)
            torch._foreach_clamp_max_(directions, c.clip_update)
        torch._foreach_mul_(directions, _each(c.step_size))
        torch._foreach_sub_(params, directions)
    if projections:
        points = zip(projections, params, metrics, strict=True)
        params = [project(point, metric) for project, point, metric in points]
    if params is not stored:
        torch._foreach_copy_(stored, params)


def _each(scalar: Scalar) -> Scalar:
    """A float as it is, a tensor of shape (n,) as a list of one 0-dim tensor for each array."""
    return list(scalar.unbind()) if isinstance(scalar, Tensor) else scalar
