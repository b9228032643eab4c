"""An optimizer around another one, whose options and state are part of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, overload

from torch import Tensor
from torch.optim.optimizer import Optimizer


class Wrapper(Optimizer):
    """Shares the groups of `inner`: schedules and whoever else writes options reach it.

    Args:
        inner: the optimizer inside; this one steps it.
    """

    def __init__(self, inner: Optimizer) -> None:
        self.inner = inner
        super().__init__(inner.param_groups, {})  # the same dicts, in a list of its own

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @abstractmethod
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Step the optimizer inside; return the closure's loss, if given."""

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
