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


def torch_path(**settings: Any) -> Run:
    """`AdaBelief`, which changes `params` in place; yields the states after each step."""

    def run(
        options: Mapping[str, Any], params: list[Tensor], grads: Sequence[Gradients]
    ) -> Iterator[list[State]]:
        optimizer = AdaBelief(params, **settings, **options)
        yield from followed(optimizer, params, grads)

    return run


def followed(
    optimizer: AdaBelief, params: list[Tensor], grads: Sequence[Gradients]
) -> Iterator[list[State]]:
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = grad
        optimizer.step()
        yield [optimizer.state[param] for param in params]


def tensor_lr(
    options: Mapping[str, Any], params: list[Tensor], grads: Sequence[Gradients]
) -> Iterator[list[State]]:
    lr = torch.tensor(options.get("lr", 1e-3), dtype=torch.float64)
    yield from followed(AdaBelief(params, **{**options, "lr": lr}), params, grads)


def differentiable(
    options: Mapping[str, Any], params: list[Tensor], grads: Sequence[Gradients]
) -> Iterator[list[State]]:
    """Through autograd's path, whose parameters may not be leaves that require gradients."""
    for param in params:
        param.requires_grad_(False)
    yield from torch_path(differentiable=True)(options, params, grads)


BACKENDS: Mapping[str, Run] = {
    "loop": torch_path(foreach=False, fused=False),
    "foreach": torch_path(foreach=True, fused=False),
    "fused": torch_path(fused=True),
    "chosen": torch_path(),
    "tensor lr": tensor_lr,
    "capturable": torch_path(capturable=True, foreach=False, fused=False),
    "capturable foreach": torch_path(capturable=True, foreach=True, fused=False),
    "differentiable": differentiable,
}

# Their scalars are tensors in the dtype of the arithmetic, which rounds them.
TRACED = {"capturable", "capturable foreach", "differentiable"}
