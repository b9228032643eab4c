"""SGD as equation 1 of Zhuang et al. 2020 has it: along the mean of gradients, not their sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from adabelief_lab.optimizers.implementations.per_parameter import PerParameter


class EMASGD(PerParameter):
    """θ ← θ − α m with m ← β m + (1 − β) g: the numerator of Adam and AdaBelief, uncorrected.

    Equal to heavy-ball SGD with a learning rate of (1 − β) α. torch.optim.SGD(dampening=β) is not
    this: it takes the first gradient whole.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α.
        momentum: β, in [0, 1).
        weight_decay: λ.
        decoupled_weight_decay: θ ← (1 − αλ) θ before the update; else g ← g + λθ.
    """

    STATE: ClassVar = ("exp_avg",)
    OPTIONS: ClassVar = {
        "lr": 1e-3,
        "momentum": 0.9,
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
        """Zhuang et al. 2020, equation 1."""
        # m ← β m + (1 − β) g
        state["exp_avg"].lerp_(grad, 1 - group["momentum"])
        # θ ← θ − α m
        param.add_(state["exp_avg"], alpha=-group["lr"])
