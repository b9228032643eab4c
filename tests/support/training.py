"""Optimizers after some steps on gradients that a test makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adabelief import AdaBelief

Gradients = Callable[[int], Tensor]


def trained(
    gradient: Gradients, steps: int, start: Tensor | None = None, **options: Any
) -> tuple[AdaBelief, nn.Parameter]:
    """An optimizer after `steps` steps of one parameter with these gradients."""
    first = gradient(0)
    param = nn.Parameter(torch.ones_like(first) if start is None else start.clone())
    optimizer = AdaBelief([param], **options)
    for step in range(steps):
        param.grad = gradient(step)
        optimizer.step()
    return optimizer, param


def noise(*shape: int, mean: float = 0.0, scale: float = 1.0) -> Gradients:
    def gradient(step: int) -> Tensor:
        random = torch.Generator().manual_seed(step)
        return mean + scale * torch.randn(*shape, generator=random, dtype=torch.float64)

    return gradient
