"""LARS (You et al. 2017, arXiv:1708.03888): a learning rate of its own for every layer."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from adabelief_lab.optimizers.implementations.wrapper import GradientWrapper


class LARS(GradientWrapper):
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

    OPTIONS: ClassVar = {"trust": 0.001, "weight_decay": 0.0}
    trust: float
    weight_decay: float

    def gradient(self, param: Tensor, grad: Tensor) -> Tensor:
        """local_lr · (g + βw); g itself for a vector, g + βw where a norm is 0."""
        if param.ndim < 2:
            return grad
        size, slope = torch.linalg.vector_norm(param), torch.linalg.vector_norm(grad)
        local = self.trust * size / (slope + self.weight_decay * size)
        local = torch.where((size > 0) & (slope > 0), local, torch.ones_like(local))
        return grad.add(param, alpha=self.weight_decay).mul_(local)
