"""LARS (You et al. 2017, arXiv:1708.03888): a learning rate of its own for every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from adabelief_lab.optimizers.implementations.wrapper import Wrapper


class LARS(Wrapper):
    """The optimizer inside sees local_lr · (g + βw) in place of g, for tensors of 2 or more axes.

    local_lr = η ‖w‖ / (‖g‖ + β ‖w‖), the paper's equation 6; around SGD with momentum it is the
    paper's Algorithm 1. Biases and norms, tensors of one axis, see their gradient as it is, as in
    the paper's experiments. Around an optimizer that divides by the size of gradients, such as
    Adam, the constant part of local_lr cancels and only its changes remain.

    Args:
        inner: the optimizer inside; its own decay must be coupled or 0 where β is to be the only.
        trust: η, the trust coefficient.
        weight_decay: β.

    Raises:
        ValueError: trust is not in (0, inf), or weight_decay not in [0, inf).
    """

    def __init__(self, inner: Optimizer, trust: float = 0.001, weight_decay: float = 0.0) -> None:
        if not 0.0 < trust < float("inf"):
            msg = f"trust must be in (0, inf), got {trust}"
            raise ValueError(msg)
        if not 0.0 <= weight_decay < float("inf"):
            msg = f"weight_decay must be in [0, inf), got {weight_decay}"
            raise ValueError(msg)
        super().__init__(inner)
        self.trust, self.weight_decay = trust, weight_decay

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Step the optimizer inside along scaled gradients; `grad` is as before afterwards."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        layers = [param for param in self.params() if param.grad is not None and param.ndim > 1]
        before = [param.grad for param in layers]
        try:
            for param in layers:
                param.grad = self._scaled(param)
            self.inner.step()
        finally:
            for param, grad in zip(layers, before, strict=True):
                param.grad = grad
        return loss

    @torch.no_grad()
    def _scaled(self, param: Tensor) -> Tensor:
        """local_lr · (g + βw); as it is where a norm is 0."""
        grad = param.grad
        assert grad is not None
        size, slope = torch.linalg.vector_norm(param), torch.linalg.vector_norm(grad)
        local = self.trust * size / (slope + self.weight_decay * size)
        local = torch.where((size > 0) & (slope > 0), local, torch.ones_like(local))
        return grad.add(param, alpha=self.weight_decay).mul_(local)
