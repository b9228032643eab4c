"""What the optimizers of this folder share: everything but the recursion."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from adabelief_lab.optimizers.implementations.declared_options import DeclaredOptions


class PerParameter(DeclaredOptions):
    """An optimizer that updates one parameter after another; a subclass has the recursion.

    `OPTIONS` has "lr", "weight_decay", "decoupled_weight_decay", "betas" where there are any, and
    whatever the recursion needs. `weight_decay` is λ: decoupled, θ ← (1 − αλ) θ before the update;
    coupled, g ← g + λθ.

    Raises:
        ValueError: an option is outside its range.
    """

    # Arrays like the parameter, 0 at first.
    STATE: ClassVar[tuple[str, ...]]

    @abstractmethod
    def update(
        self,
        param: Tensor,
        grad: Tensor,
        state: Mapping[str, Tensor],
        group: Mapping[str, Any],
        t: int,
    ) -> None:
        """Step `t` = 1, 2, ... of one parameter and of its state, in place.

        Args:
            param: θ; decayed already, if decay is decoupled.
            grad: g, with the decay in it if that is coupled; to be left as it is.
            state: the arrays of `STATE`.
            group: the parameter's options.
            t: number of this step.
        """

    @torch.no_grad()
    def step_all(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step_one(param, param.grad, group)

    def _step_one(self, param: Tensor, grad: Tensor, group: Mapping[str, Any]) -> None:
        if grad.is_sparse:
            msg = f"{type(self).__name__} does not support sparse gradients"
            raise RuntimeError(msg)
        state = self.state[param]
        if not state:
            state["step"] = torch.tensor(0.0)
            for name in self.STATE:
                state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        state["step"] += 1
        if group.get("maximize", False):
            grad = -grad
        decay = group["weight_decay"]
        if decay != 0.0 and group["decoupled_weight_decay"]:
            param.mul_(1 - group["lr"] * decay)
        elif decay != 0.0:
            grad = grad.add(param, alpha=decay)
        self.update(param, grad, state, group, int(state["step"].item()))
