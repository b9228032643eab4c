"""Padam (Chen & Gu 2018, arXiv:1806.06763): AMSGrad with the power p of the denominator free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from adabelief_lab.optimizers.implementations.per_parameter import PerParameter


class Padam(PerParameter):
    """θ ← θ − α m / v̂^p, from momentum SGD (p = 0) to AMSGrad (p = 1/2).

    The paper's Algorithm 1 has no bias correction and no ε. Its authors' code has both; ε is taken
    over here, added to √v̂ as there, because 0/0 is nobody's wish.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α; the paper's is 0.1.
        betas: decay rates β1 of the first moment and β2 of the second.
        eps: ε; v̂^p is (√v̂ + ε)^2p.
        partial: p, in [0, 1/2].
        weight_decay: λ.
        decoupled_weight_decay: θ ← (1 − αλ) θ before the update; else g ← g + λθ, as the paper.

    Raises:
        ValueError: as `PerParameter`; `partial` is not in [0, 1/2].
    """

    STATE: ClassVar = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    OPTIONS: ClassVar = {
        "lr": 0.1,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "partial": 0.125,  # Chen & Gu 2018, section 5
        "weight_decay": 0.0,
        "decoupled_weight_decay": False,
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
        exp_avg, exp_avg_sq, most = (state[name] for name in self.STATE)
        beta1, beta2 = group["betas"]
        # m ← β1 m + (1 − β1) g
        exp_avg.lerp_(grad, 1 - beta1)
        # v ← β2 v + (1 − β2) g²
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        # v̂ ← max(v̂, v)
        torch.maximum(most, exp_avg_sq, out=most)
        # θ ← θ − α m / v̂^p
        denominator = most.sqrt().add_(group["eps"]).pow_(2 * group["partial"])
        param.addcdiv_(exp_avg, denominator, value=-group["lr"])
