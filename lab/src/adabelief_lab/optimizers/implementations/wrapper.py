"""An optimizer around another one, whose options and state are part of its own."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from adabelief_lab.optimizers.implementations.declared_options import DeclaredOptions


class Wrapper(DeclaredOptions):
    """Shares the groups of `inner`: schedules and whoever else writes options reach it.

    The first argument is `inner`, the optimizer inside; this one steps it. The options become
    attributes.
    """

    FIRST: ClassVar = "inner"
    inner: Optimizer

    def __init__(self, *args: Any, **options: Any) -> None:
        self.inner, given = self.options(*args, **options)
        # The same dicts, in a list of its own.
        Optimizer.__init__(self, self.inner.param_groups, {})
        for name, value in given.items():
            setattr(self, name, value)

    def params(self) -> list[Tensor]:
        """All parameters, in the groups' order."""
        return [param for group in self.param_groups for param in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer inside, and this one's own."""
        return {"inner": self.inner.state_dict(), "own": self.own_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.inner.load_state_dict(state_dict["inner"])
        self.param_groups = self.inner.param_groups  # which are new ones
        self.load_own_state(state_dict["own"])

    def own_state(self) -> dict[str, Any]:
        """What the wrapper keeps itself."""
        return {}

    def load_own_state(self, state: dict[str, Any]) -> None:
        """Restore what `own_state` returned."""


class GradientWrapper(Wrapper):
    """The optimizer inside sees `gradient(param, g)` in place of g.

    After the step `grad` is g again.
    """

    @abstractmethod
    def gradient(self, param: Tensor, grad: Tensor) -> Tensor:
        """What the optimizer inside sees; `grad` itself is left as it is."""

    def step_all(self) -> None:
        """Step the optimizer inside along the changed gradients."""
        before = [(param, param.grad) for param in self.params() if param.grad is not None]
        try:
            with torch.no_grad():
                for param, grad in before:
                    param.grad = self.gradient(param, grad)
            self.inner.step()
        finally:
            for param, grad in before:
                param.grad = grad
