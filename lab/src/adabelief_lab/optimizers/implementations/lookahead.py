"""Lookahead (Zhang et al. 2019, arXiv:1907.08610): slow weights that follow fast ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from adabelief_lab.optimizers.implementations.wrapper import Wrapper


class Lookahead(Wrapper):
    """After every k steps of the optimizer inside: φ ← φ + a (θ − φ), θ ← φ.

    The paper's Algorithm 1. φ_0 is θ_0, and the state of the optimizer inside stays, which is the
    paper's choice for momentum in its experiments on images.

    Args:
        inner: the optimizer of the fast weights θ.
        k: steps between two meetings.
        alpha: a, the slow weights' step, in (0, 1].

    Raises:
        ValueError: k is not 1 or more, or alpha not in (0, 1].
    """

    OPTIONS: ClassVar = {"k": 5, "alpha": 0.5}
    k: int
    alpha: float

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._steps = 0
        self._slow = [param.detach().clone() for param in self.params()]

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Step the fast weights, and the slow ones with every k-th."""
        loss = self.inner.step(closure) if closure is not None else self.inner.step()
        self._steps += 1
        if self._steps % self.k == 0:
            with torch.no_grad():
                for slow, param in zip(self._slow, self.params(), strict=True):
                    # φ ← φ + a (θ − φ),  θ ← φ
                    param.copy_(slow.lerp_(param, self.alpha))
        return loss

    def own_state(self) -> dict[str, Any]:
        """Steps taken, and the slow weights in the parameters' order."""
        return {"steps": self._steps, "slow": self._slow}

    def load_own_state(self, state: dict[str, Any]) -> None:
        """Restore what `own_state` returned."""
        self._steps = state["steps"]
        for slow, loaded in zip(self._slow, state["slow"], strict=True):
            slow.copy_(loaded)
