"""One adapter per implementation: (options, parameters, gradients of each step) -> states.

A new implementation is one more entry of BACKENDS; it then meets every test of parity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from adabelief import AdaBelief

State = Mapping[str, Tensor]
Gradients = Sequence[Tensor | None]  # one for each parameter
Run = Callable[[Mapping[str, Any], list[Tensor], Sequence[Gradients]], Iterator[list[State]]]


def torch_path(foreach: bool | None, tensor_lr: bool = False) -> Run:
    """`AdaBelief`, which changes `params` in place; yields the states after each step."""

    def run(
        options: Mapping[str, Any], params: list[Tensor], grads: Sequence[Gradients]
    ) -> Iterator[list[State]]:
        lr = options.get("lr", 1e-3)
        options = {**options, "lr": torch.tensor(lr, dtype=torch.float64) if tensor_lr else lr}
        optimizer = AdaBelief(params, foreach=foreach, **options)
        for step in grads:
            for param, grad in zip(params, step, strict=True):
                param.grad = grad
            optimizer.step()
            yield [optimizer.state[param] for param in params]

    return run


BACKENDS: Mapping[str, Run] = {
    "loop": torch_path(foreach=False),
    "foreach": torch_path(foreach=True),
    "chosen": torch_path(foreach=None),
    "tensor lr": torch_path(foreach=None, tensor_lr=True),
}
