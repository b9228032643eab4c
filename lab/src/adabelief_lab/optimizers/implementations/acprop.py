"""ACProp (Zhuang et al. 2021, arXiv:2110.05454): AdaBelief's variance, one step late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from adabelief_lab.optimizers.implementations.per_parameter import PerParameter


class ACProp(PerParameter):
    """θ ← θ − α g_t / (√ŝ_{t−1} + ε): centred as AdaBelief, asynchronous, without momentum.

    The denominator has not seen the gradient above it. At t = 1 there is none yet: the authors'
    code then takes a step along the gradient, θ ← θ − α g, and so does this. As there, ε is added
    to s at every step and stays in it.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α.
        betas: decay rates β1 of the mean that centres and β2 of the variance.
        eps: ε.
        weight_decay: λ.
        decoupled_weight_decay: θ ← (1 − αλ) θ before the update; else g ← g + λθ.
    """

    STATE: ClassVar = ("exp_avg", "exp_avg_var")
    OPTIONS: ClassVar = {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-16,  # the authors' code; their CIFAR runs have 1e-8
        "weight_decay": 0.0,
        "decoupled_weight_decay": True,
    }

    def update(
        self,
        param: Tensor,
        grad: Tensor,
        state: Mapping[str, Tensor],
        group: Mapping[str, Any],
        t: int,
    ) -> None:
        """The algorithm ACProp of the paper."""
        exp_avg, exp_avg_var = state["exp_avg"], state["exp_avg_var"]
        (beta1, beta2), eps = group["betas"], group["eps"]
        # m_t ← β1 m_{t−1} + (1 − β1) g_t
        exp_avg.lerp_(grad, 1 - beta1)
        # θ_t ← θ_{t−1} − α g_t / (√ŝ_{t−1} + ε)
        if t == 1:
            param.add_(grad, alpha=-group["lr"])
        else:
            exp_avg_var.add_(eps)
            denominator = (exp_avg_var / (1 - beta2 ** (t - 1))).sqrt_().add_(eps)
            param.addcdiv_(grad, denominator, value=-group["lr"])
        # s_t ← β2 s_{t−1} + (1 − β2) (g_t − m_t)²
        residual = grad - exp_avg
        exp_avg_var.mul_(beta2).addcmul_(residual, residual, value=1 - beta2)
