"""Every scalar of step t, computed in double precision on the host; no arrays.

`Coefficients` is all that the update rules in `update/` are told: they know neither groups,
nor options, nor t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The scalars of one step, named by what they do to the arrays.

    The corrections of Algorithm 2 are folded into two of them, which saves two passes over
    memory: m̂ / (√ŝ + ε) = `direction_scale` · m / (√s + `outer_eps`).

    Args:
        maximize: whether the gradient changes its sign.
        coupled_decay: λ in g ← g + λθ; 0 when there is none.
        keep: factor on θ before the update: 1 − αλ, 1 − λ, or 1.
        beta1: β₁.
        beta2: β₂.
        eps: ε inside s.
        outer_eps: ε √(1 − β₂ᵗ), the ε beside the root.
        amsgrad: whether the running maximum of s is in the denominator.
        adaptive: False in RAdam's first steps, where the direction is m̂ alone.
        direction_scale: √(1 − β₂ᵗ) / (1 − β₁ᵗ); without the root's factor if not adaptive.
        step_size: α, times r_t with rectification.
        clip_update: largest magnitude of an element of the direction, or None.
    """

    maximize: bool
    coupled_decay: float
    keep: float
    beta1: float
    beta2: float
    eps: float
    outer_eps: float
    amsgrad: bool
    adaptive: bool
    direction_scale: float
    step_size: float
    clip_update: float | None


def coefficients(group: Mapping[str, Any], step: int) -> Coefficients:
    """Return the scalars of update number `step` (1 at the first) under a group's options."""
    # float: a learning rate may be a tensor, and any of them a Fraction or a NumPy number.
    lr, eps, weight_decay = (float(group[name]) for name in ("lr", "eps", "weight_decay"))
    beta1, beta2 = (float(beta) for beta in group["betas"])
    clip_update = group["clip_update"]
    coupled = not group["decoupled_weight_decay"]
    shrink = 0.0 if coupled else weight_decay if group["fixed_decay"] else lr * weight_decay
    bias_correction1 = 1 - beta1**step if group["bias_correction"] else 1.0
    root_bias_correction2 = math.sqrt(1 - beta2**step) if group["bias_correction"] else 1.0
    rectified = rectification(step, beta2) if group["rectify"] else 1.0
    adaptive = rectified is not None
    return Coefficients(
        maximize=group["maximize"],
        coupled_decay=weight_decay if coupled else 0.0,
        keep=1 - shrink,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        outer_eps=eps * root_bias_correction2,
        amsgrad=group["amsgrad"],
        adaptive=adaptive,
        direction_scale=(root_bias_correction2 if adaptive else 1.0) / bias_correction1,
        step_size=lr if rectified is None else lr * rectified,
        clip_update=None if clip_update is None else float(clip_update),
    )


def rectification(step: int, beta2: float) -> float | None:
    """RAdam's r_t, or None while ρ_t ≤ 5 (Liu et al. 2020, Algorithm 2; torch's threshold)."""
    sma_max = 2 / (1 - beta2) - 1
    sma_length = sma_max - 2 * step * beta2**step / (1 - beta2**step)
    if sma_length <= 5:
        return None
    numerator = (sma_length - 4) * (sma_length - 2) * sma_max
    return math.sqrt(numerator / ((sma_max - 4) * (sma_max - 2) * sma_length))
