"""L2 regularisation around an optimizer that has none of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import Optimizer

from adabelief_lab.optimizers.implementations.wrapper import Wrapper


class L2(Wrapper):
    """The optimizer inside sees g + λw in place of g.

    Args:
        inner: the optimizer inside; it has no decay of its own.
        weight_decay: λ.

    Raises:
        ValueError: weight_decay is not in [0, inf).
    """

    def __init__(self, inner: Optimizer, weight_decay: float = 5e-4) -> None:
        if not 0.0 <= weight_decay < float("inf"):
            msg = f"weight_decay must be in [0, inf), got {weight_decay}"
            raise ValueError(msg)
        super().__init__(inner)
        self.weight_decay = weight_decay

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Step the optimizer inside; `grad` is as before afterwards."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        params = [param for param in self.params() if param.grad is not None]
        before = [param.grad for param in params]
        try:
            for param in params:
                assert param.grad is not None
                param.grad = param.grad.add(param.detach(), alpha=self.weight_decay)
            self.inner.step()
        finally:
            for param, grad in zip(params, before, strict=True):
                param.grad = grad
        return loss
