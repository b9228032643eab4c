"""What the optimizers of this folder share: everything but the recursion."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class PerParameter(Optimizer):
    """An optimizer that updates one parameter after another; a subclass has the recursion.

    Args:
        params: parameters, or groups of them.
        defaults: the options of a group: "lr", "weight_decay", "decoupled_weight_decay", "betas"
            where there are any, and whatever the recursion needs. `weight_decay` is λ: decoupled,
            θ ← (1 − αλ) θ before the update; coupled, g ← g + λθ.

    Raises:
        ValueError: lr, eps or weight_decay is not in [0, inf), or a beta not in [0, 1).
    """

    # Arrays like the parameter, 0 at first.
    STATE: ClassVar[tuple[str, ...]]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        check_options(defaults)
        super().__init__(params, defaults)

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

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return the closure's loss, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._step_one(param, param.grad, group)
        return loss

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


def check_options(defaults: Mapping[str, Any]) -> None:
    """Refuse options that no optimizer here can have.

    Raises:
        ValueError: a number among them is not in [0, inf), or a beta not in [0, 1).
    """
    for name in ("lr", "eps", "tolerance", "weight_decay"):
        value = defaults.get(name, 0.0)
        if not 0.0 <= value < float("inf"):
            msg = f"{name} must be in [0, inf), got {value}"
            raise ValueError(msg)
    for i, beta in enumerate(defaults.get("betas", ())):
        if not 0.0 <= beta < 1.0:
            msg = f"betas[{i}] must be in [0, 1), got {beta}"
            raise ValueError(msg)
