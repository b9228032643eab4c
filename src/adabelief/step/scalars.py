"""Every scalar of step t; no arrays.

`Coefficients` is all that the update rules in `step/` are told: they know neither groups,
nor options, nor t. On the host they are floats, in double precision. Where the host must not
know t (CUDA graphs, torch.compile) or where gradients flow through them (differentiable=True),
those that depend on t or on a tensor option are tensors with one number for each array.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import torch
from torch import Tensor

from adabelief.kernels.abi import NO_BOUNDS, Bounds

# A float, or a tensor of shape (n,), one number for each of the n arrays of an update.
Scalar: TypeAlias = Any


@dataclass(frozen=True)
class Coefficients:
    """The scalars of one step, named by what they do to the arrays.

    The corrections of Algorithm 2 are folded into two of them, which saves two passes over
    memory: m̂ / (√ŝ + ε) = `direction_scale` · m / (√s + `outer_eps`).

    Args:
        maximize: whether the gradient changes its sign.
        coupled_decay: λ in g ← g + λθ; None when there is none.
        keep: factor on θ before the update: 1 − αλ, or 1 − λ; None when it is 1.
        beta1: β₁.
        beta2: β₂.
        eps: ε inside s, a float always.
        outer_eps: ε √(1 − β₂ᵗ), the ε beside the root.
        amsgrad: whether the running maximum of s is in the denominator.
        adaptive: False in RAdam's first steps, where the direction is m̂ alone; a tensor of
            booleans where t is one.
        direction_scale: √(1 − β₂ᵗ) / (1 − β₁ᵗ); without the root's factor if not adaptive.
        step_size: α, times r_t with rectification.
        clip_update: largest magnitude of an element of the direction, or None.
        metric_scale: 1 / √(1 − β₂ᵗ): the projection's metric is √ŝ = `metric_scale` · √s.
    """

    maximize: bool
    coupled_decay: Scalar
    keep: Scalar
    beta1: Scalar
    beta2: Scalar
    eps: float
    outer_eps: Scalar
    amsgrad: bool
    adaptive: bool | Tensor
    direction_scale: Scalar
    step_size: Scalar
    clip_update: float | None
    metric_scale: Scalar

    def of(self, index: int) -> Coefficients:
        """The scalars of array number `index`: tensors of shape (n,) become 0-dim."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in own.items():
            own[name] = value[index] if isinstance(value, Tensor) else value
        return Coefficients(**own)

    def packed(
        self, bounds: Bounds | None = None, grad_scale: float = 1.0
    ) -> tuple[float | bool, ...]:
        """The scalars in the order of `parse_scalars` in kernels/csrc/batch.c; all are floats.

        Args:
            bounds: of the feasible box.
            grad_scale: what the gradients were multiplied with (torch.amp.GradScaler).
        """
        low, high = bounds or NO_BOUNDS
        coupled, keep, clip = self.coupled_decay, self.keep, self.clip_update
        return (
            (-1.0 if self.maximize else 1.0) / grad_scale,
            0.0 if coupled is None else coupled,
            1.0 if keep is None else keep,
            self.beta1,
            1 - self.beta1,
            self.beta2,
            1 - self.beta2,
            self.eps,
            self.outer_eps,
            self.direction_scale,
            self.step_size,
            math.inf if clip is None else clip,
            low,
            high,
            coupled is not None,
            self.amsgrad,
            self.adaptive is True,
        )


def coefficients(group: Mapping[str, Any], step: int) -> Coefficients:
    """Return the scalars of update number `step` (1 at the first) under a group's options."""
    # float: any of them may be a tensor, a Fraction or a NumPy number.
    lr, weight_decay = float(group["lr"]), float(group["weight_decay"])
    beta1, beta2 = (float(beta) for beta in group["betas"])
    corrected = group["bias_correction"]
    bias_correction1 = 1 - beta1**step if corrected else 1.0
    root_bias_correction2 = math.sqrt(1 - beta2**step) if corrected else 1.0
    rectified = rectification(step, beta2) if group["rectify"] else 1.0
    adaptive = rectified is not None
    return Coefficients(
        **_decay(group, lr, weight_decay),
        beta1=beta1,
        beta2=beta2,
        outer_eps=float(group["eps"]) * root_bias_correction2,
        adaptive=adaptive,
        direction_scale=(root_bias_correction2 if adaptive else 1.0) / bias_correction1,
        step_size=lr if rectified is None else lr * rectified,
        metric_scale=1 / root_bias_correction2,
    )


def traced_coefficients(
    group: Mapping[str, Any], steps: Sequence[Tensor], device: torch.device, dtype: torch.dtype
) -> Coefficients:
    """The same as tensors, computed where the arrays are and without a look at their values.

    Args:
        group: options; lr, weight_decay and betas may be tensors, which keep their gradients.
        steps: 0-dim tensors, t of each array.
        device: where the arrays are.
        dtype: that of the arithmetic.
    """

    def scalar(value: float | Tensor) -> Any:
        """Tensors as shape (n,), beside the arrays; floats as they are."""
        if not isinstance(value, Tensor):
            return value
        return value.reshape(()).to(device, dtype).expand(len(steps))

    lr, weight_decay, beta1, beta2 = map(
        scalar, (group["lr"], group["weight_decay"], *group["betas"])
    )
    step = torch.stack([step.to(device, dtype) for step in steps])
    # expm1 keeps the digits that 1 − βᵗ loses for β near 1 in float32.
    one_minus_power2 = -torch.expm1(step * _log(beta2))
    corrected = group["bias_correction"]
    bias_correction1 = -torch.expm1(step * _log(beta1)) if corrected else torch.ones_like(step)
    root_bias_correction2 = one_minus_power2.sqrt() if corrected else torch.ones_like(step)
    numerator, step_size, adaptive = root_bias_correction2, lr, None
    if group["rectify"]:
        adaptive, factor = _traced_rectification(step, beta2)
        numerator = torch.where(adaptive, root_bias_correction2, 1.0)
        step_size = lr * factor
    return Coefficients(
        **_decay(group, lr, weight_decay),
        beta1=beta1,
        beta2=beta2,
        outer_eps=float(group["eps"]) * root_bias_correction2,
        adaptive=True if adaptive is None else adaptive,
        direction_scale=numerator / bias_correction1,
        step_size=step_size,
        metric_scale=1 / root_bias_correction2,
    )


def _decay(group: Mapping[str, Any], lr: Scalar, weight_decay: Scalar) -> dict[str, Any]:
    """The decay, and what does not depend on t."""
    clip_update = group["clip_update"]
    some = isinstance(weight_decay, Tensor) or weight_decay != 0
    coupled = not group["decoupled_weight_decay"]
    if group["fixed_decay"]:
        # lr = 0 moves nothing: torch.distributed.checkpoint makes such a step to create state.
        moving = (lr != 0).to(lr.dtype) if isinstance(lr, Tensor) else float(lr != 0)
        shrink = moving * weight_decay
    else:
        shrink = lr * weight_decay
    return {
        "maximize": group["maximize"],
        "coupled_decay": weight_decay if some and coupled else None,
        "keep": 1 - shrink if some and not coupled else None,
        "eps": float(group["eps"]),
        "amsgrad": group["amsgrad"],
        "clip_update": None if clip_update is None else float(clip_update),
    }


def rectification(step: int, beta2: float) -> float | None:
    """RAdam's r_t, or None while ρ_t ≤ 5 (Liu et al. 2020, Algorithm 2; torch's threshold)."""
    sma_max = 2 / (1 - beta2) - 1
    sma_length = sma_max - 2 * step * beta2**step / (1 - beta2**step)
    if sma_length <= 5:
        return None
    numerator = (sma_length - 4) * (sma_length - 2) * sma_max
    return math.sqrt(numerator / ((sma_max - 4) * (sma_max - 2) * sma_length))


def _traced_rectification(step: Tensor, beta2: Scalar) -> tuple[Tensor, Tensor]:
    """(whether ρ_t > 5, r_t where it is and 1 elsewhere), as `rectification`.

    There ρ_t is a small difference of large numbers, which float32 cannot resolve: with β₂ = 0.9999
    it would start a step early. With L = −log β₂ and Λ(x) = coth x − 1/x the same number is
    ρ_t = Λ(L/2) + t (1 − Λ(tL/2)), for 2tβ₂ᵗ/(1 − β₂ᵗ) = t (coth(tL/2) − 1) and ρ_∞ = coth(L/2).
    """
    half = torch.ones_like(step) * (-_log(beta2) / 2)
    sma_max = 2 / (1 - beta2) - 1
    sma_length = _langevin(half) + step * (1 - _langevin(step * half))
    adaptive = sma_length > 5
    # Elsewhere the root may be of a negative number, whose gradient would be NaN.
    safe = torch.where(adaptive, sma_length, torch.full_like(sma_length, 6.0))
    ratio = (safe - 4) * (safe - 2) * sma_max / ((sma_max - 4) * (sma_max - 2) * safe)
    return adaptive, torch.where(adaptive, ratio, 1.0).sqrt()


# 2²ⁿ B₂ₙ / (2n)!, n = 1 … 7: Λ(x) = x/3 − x³/45 + …; beyond x = 1/4 the next is under 1e-17.
LANGEVIN = (1 / 3, -1 / 45, 2 / 945, -1 / 4725, 2 / 93555, -1382 / 638512875, 4 / 18243225)


def _langevin(x: Tensor) -> Tensor:
    """Λ(x) = coth x − 1/x for x > 0, by its series where the difference would lose digits."""
    small = torch.where(x < 0.25, x, 0.0)
    series = torch.zeros_like(x)
    for coefficient in reversed(LANGEVIN):
        series = series * small**2 + coefficient
    large = torch.where(x < 0.25, 1.0, x)
    return torch.where(x < 0.25, series * small, 1 / torch.tanh(large) - 1 / large)


def _log(beta: Scalar) -> Scalar:
    if isinstance(beta, Tensor):
        return beta.log()
    return math.log(beta) if beta else -math.inf
