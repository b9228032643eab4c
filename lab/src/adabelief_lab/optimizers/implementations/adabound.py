"""AdaBound and AMSBound (Luo et al. 2019, arXiv:1902.09843): Adam between bounds that close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from adabelief_lab.optimizers.implementations.per_parameter import PerParameter


class AdaBound(PerParameter):
    """Adam whose step size of every element is clipped to bounds that meet at `final_lr`.

    The clipping is the paper's Algorithm 2; bias corrections, the schedule's effect on `final_lr`
    and the form of the bounds, α* (1 − 1/(γt + 1)) and α* (1 + 1/(γt)), are the authors' package's,
    because that is what everybody ran, AdaBelief's authors included.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α; a schedule scales `final_lr` as it scales lr.
        final_lr: α*, where both bounds end.
        betas: decay rates β1 of the first moment and β2 of the second.
        gamma: γ, how fast the bounds close.
        eps: ε.
        weight_decay: λ.
        decoupled_weight_decay: θ ← (1 − αλ) θ before the update; else g ← g + λθ, as the paper.
        amsbound: the running maximum of v takes its place, as in AMSGrad.
    """

    STATE: ClassVar = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    # The defaults are those of the authors' package, 0.0.5.
    OPTIONS: ClassVar = {
        "lr": 1e-3,
        "final_lr": 0.1,
        "betas": (0.9, 0.999),
        "gamma": 1e-3,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "decoupled_weight_decay": False,
        "amsbound": False,
    }

    def progress(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The learning rate before any schedule."""
        return {"base_lr": options["lr"]}

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        state: Mapping[str, Tensor],
        group: Mapping[str, Any],
        t: int,
    ) -> None:
        """Algorithm 2 of the paper."""
        exp_avg, exp_avg_sq, most = (state[name] for name in self.STATE)
        (beta1, beta2), lr, gamma = group["betas"], group["lr"], group["gamma"]
        # m ← β1 m + (1 − β1) g,  v ← β2 v + (1 − β2) g²
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if group["amsbound"]:
            exp_avg_sq = torch.maximum(most, exp_avg_sq, out=most)
        # η ← clip(α / √v, lower(t), upper(t))
        final = group["final_lr"] * (lr / group["base_lr"] if group["base_lr"] > 0 else 1.0)
        lower, upper = final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))
        corrected = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
        step_size = corrected / exp_avg_sq.sqrt().add_(group["eps"])
        # θ ← θ − η ⊙ m
        param.sub_(step_size.clamp_(lower, upper).mul_(exp_avg))
