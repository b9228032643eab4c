"""EAdam (Yuan & Gao 2020, arXiv:2011.02150): Adam with AdaBelief's eps placement, no belief."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from adabelief_lab.optimizers.implementations.per_parameter import PerParameter


class EAdam(PerParameter):
    """Adam whose eps is added to the second moment at every step and stays in it.

    v ← β2 v + (1 − β2) g² + ε, then θ ← θ − α m̂ / (√v̂ + ε). It differs from AdaBelief in g²
    instead of (g − m)² only, so a difference between the two is what the belief does.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α.
        betas: decay rates β1 of the first moment and β2 of the second.
        eps: ε; √v̂ never falls below √(ε / (1 − β2)).
        weight_decay: λ.
        decoupled_weight_decay: θ ← (1 − αλ) θ before the update; else g ← g + λθ.
        maximize: ascend instead of descend.
    """

    STATE: ClassVar = ("exp_avg", "exp_avg_sq")
    OPTIONS: ClassVar = {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,  # Yuan & Gao 2020, section 4
        "weight_decay": 0.0,
        "decoupled_weight_decay": True,
        "maximize": False,
    }

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        state: Mapping[str, Tensor],
        group: Mapping[str, Any],
        t: int,
    ) -> None:
        """Algorithm 1 of the paper."""
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        (beta1, beta2), eps = group["betas"], group["eps"]
        # m ← β1 m + (1 − β1) g
        exp_avg.lerp_(grad, 1 - beta1)
        # v ← β2 v + (1 − β2) g² + ε
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2).add_(eps)
        # θ ← θ − α m̂ / (√v̂ + ε)
        denominator = (exp_avg_sq / (1 - beta2**t)).sqrt_().add_(eps)
        param.addcdiv_(exp_avg, denominator, value=-group["lr"] / (1 - beta1**t))
