"""One step of some of an optimizer's parameters: what the kernel takes, then the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from adabelief.step.cpu_fast_path import FastStep
from adabelief.step.dispatch import Arrays, no_arrays, update

if TYPE_CHECKING:
    from adabelief.optimizer import AdaBelief

# Options, some of a group's parameters that follow each other, and the first one's number in the
# optimizer.
Part: TypeAlias = tuple[Mapping[str, Any], list[Tensor], int]


def all_parts(optimizer: AdaBelief) -> Sequence[Part]:
    """The groups, whole."""
    parts: list[Part] = []
    first = 0
    for group in optimizer.param_groups:
        parts.append((group, group["params"], first))
        first += len(group["params"])
    return parts


def step_parts(optimizer: AdaBelief, parts: Sequence[Part]) -> None:
    """Update the parameters of `parts` that have gradients.

    All gradients are looked at before the first parameter moves: a refused one costs nothing.
    """
    scale = getattr(optimizer, "grad_scale", None)  # torch.amp.GradScaler's
    grad_scale = 1.0 if scale is None else float(scale)
    fast = FastStep(optimizer.state, grad_scale)
    slow = _gather(optimizer, parts, fast)
    if not fast.run():
        slow = _gather(optimizer, parts, None)
    with torch.set_grad_enabled(optimizer.defaults["differentiable"]):
        for group, arrays, positions in slow:
            update(group, arrays, positions, grad_scale)


def _gather(
    optimizer: AdaBelief, parts: Sequence[Part], fast: FastStep | None
) -> list[tuple[Mapping[str, Any], Arrays, list[int]]]:
    """Gather for the fast path what it takes; return the rest, with their numbers."""
    slow = []
    for group, params, first in parts:
        left = range(len(params)) if fast is None else fast.gather(group, params, first)
        if left:
            arrays = no_arrays()
            whole = len(left) == len(group["params"])
            # torch.compile runs `_init_group` as it is for a group that it can find again.
            own = group if whole else {**group, "params": [params[i] for i in left]}
            optimizer._init_group(own, *arrays)
            positions = [first + i for i in left if params[i].grad is not None]
            if positions:
                slow.append((group, arrays, positions))
    return slow


def check_capture(optimizer: AdaBelief) -> None:
    """Refuse to be captured into a CUDA graph with a step count that the host keeps.

    Raises:
        RuntimeError: a graph is being captured and capturable is off.
    """
    if torch.compiler.is_compiling() or not torch.cuda.is_available():
        return
    capturable = all(group["capturable"] for group in optimizer.param_groups)
    if not capturable and torch.cuda.is_current_stream_capturing():
        msg = "capturable must be True to capture step() in a CUDA graph, got False"
        raise RuntimeError(msg)
