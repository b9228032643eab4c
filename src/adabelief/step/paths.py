"""The update rules: one signature, several ways to run it, and the choice between them.

Every path has `update(params, grads, exp_avgs, exp_avg_vars, max_exp_avg_vars, c, projections)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from adabelief.kernels import cpu
from adabelief.kernels.abi import PLAIN_TYPES
from adabelief.step import differentiable as functional_path
from adabelief.step import multi_tensor as foreach_path
from adabelief.step import single_tensor as loop_path
from adabelief.step import sparse as lazy_path
from adabelief.step.projection import Projection
from adabelief.step.scalars import Coefficients


class Path(Protocol):
    """A module of this package that has `update`."""

    def update(
        self,
        params: list[Tensor],
        grads: list[Tensor],
        exp_avgs: list[Tensor],
        exp_avg_vars: list[Tensor],
        max_exp_avg_vars: list[Tensor],
        c: Coefficients,
        projections: Sequence[Projection] = (),
    ) -> None:
        """Do one step in place on `params` and state."""


# Where torch.optim.AdamW turns foreach on by itself (torch.optim.optimizer, 2.14).
FOREACH_DEVICES = ("cuda", "xpu", "mtia")

# On CPU a tensor of fewer elements gains more from fewer calls than it loses in cache misses:
# measured by `adabelief bench`, see docs/performance.md.
FOREACH_CPU_BELOW = 8_192


def wants_kernel(group: Mapping[str, Any]) -> bool:
    """Whether a group's options ask for the kernel, or leave the choice."""
    return group["fused"] is True or (group["fused"] is None and group["foreach"] is None)


def kernel_applies(group: Mapping[str, Any]) -> bool:
    """Whether a group's options, and whatever looks on, let a kernel write to arrays.

    A mode (FakeTensorMode, a FLOP counter) would not see what a kernel writes.
    """
    if group["differentiable"] or torch.compiler.is_compiling():
        return False
    return torch._C._len_torch_dispatch_stack() == 0


def cpu_kernel_applies(group: Mapping[str, Any]) -> bool:
    """Whether the C kernel may be used. Its scalars are the host's: not with capturable."""
    return kernel_applies(group) and not group["capturable"] and cpu.unavailable() is None


def choose(
    param: Tensor, grad: Tensor, foreach: bool | None, *, traced: bool, differentiable: bool
) -> Path:
    """The path for one tensor: what its gradient needs, the caller's wish, or the faster one.

    Args:
        param: a parameter, or the local part of one.
        grad: its gradient.
        foreach: the caller's wish, None for the faster one.
        traced: whether the scalars are tensors; the loop needs floats.
        differentiable: whether autograd looks on.
    """
    if grad.layout is not torch.strided:
        return lazy_path
    if foreach is None:
        plain = type(param) in PLAIN_TYPES
        fast_here = param.device.type in FOREACH_DEVICES
        small = param.device.type == "cpu" and param.numel() < FOREACH_CPU_BELOW
        foreach = plain and (fast_here or small)
    if foreach and not differentiable:
        return foreach_path
    return functional_path if traced else loop_path
