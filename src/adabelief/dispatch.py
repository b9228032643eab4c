"""From a group's tensors to update rules: what can be updated, sorted by the path it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from adabelief.coefficients import coefficients, traced_coefficients
from adabelief.sharded import local, projection
from adabelief.update import PLAIN, Path, choose
from adabelief.update.lazy import real

# params, grads, exp_avgs, exp_avg_vars, max_exp_avg_vars (empty without amsgrad), steps
Arrays: TypeAlias = tuple[
    list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[Tensor]
]


def update(
    group: Mapping[str, Any],
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    steps: list[Tensor],
) -> None:
    """Sort the tensors into buckets of one path, device, dtype and step, and update each."""
    differentiable = group["differentiable"]
    # Whoever traces must not look at t: it will have another value when the trace is replayed.
    # (While torch.compile traces, it lets every group's capturable read True.)
    traced = group["capturable"] or differentiable
    feasible_set = group["feasible_set"]
    parts: tuple[list[Tensor], ...] = (params, grads, exp_avgs, exp_avg_vars, max_exp_avg_vars)
    if any(type(param) not in PLAIN or param.is_complex() for param in params):
        parts = tuple([_part(*pair) for pair in zip(own, params, strict=False)] for own in parts)
    torch._foreach_add_(steps, 1)  # after the last thing that may be refused
    buckets: dict[Any, tuple[Path, list[int]]] = {}
    for i, (param, grad) in enumerate(zip(parts[0], parts[1], strict=True)):
        path = choose(param, grad, group["foreach"], traced=traced, differentiable=differentiable)
        step = None if traced else int(steps[i])
        # id: torch.compile cannot hash a module, and these live for ever.
        key = (id(path), param.device, param.dtype, step)
        buckets.setdefault(key, (path, []))[1].append(i)
    for (*_, step), (path, bucket) in buckets.items():
        ours, theirs, first, second, most = (
            [own[i] for i in bucket] if own else [] for own in parts
        )
        if step is None:
            c = traced_coefficients(group, [steps[i] for i in bucket], first[0])
        else:
            c = coefficients(group, step)
        to = (
            [projection(feasible_set, params[i]) for i in bucket]
            if feasible_set is not None
            else []
        )
        path.update(ours, theirs, first, second, most, c, to)


def _part(tensor: Tensor, param: Tensor) -> Tensor:
    """This process's part of a tensor, complex numbers as pairs of reals."""
    part = local(tensor, param)
    return real(part) if part.layout is torch.strided else part


def check_params(group: Mapping[str, Any]) -> None:
    """Refuse parameters that cannot be updated, or not with these options.

    Raises:
        ValueError: one is sparse, or complex where a feasible set wants reals.
    """
    for param in group["params"]:
        if param.layout is not torch.strided:
            msg = f"AdaBelief requires dense (strided) parameters, got layout {param.layout}"
            raise ValueError(msg)
        if param.is_complex() and group["feasible_set"] is not None:
            msg = f"feasible_set needs real parameters, got {param.dtype}"
            raise ValueError(msg)


def check_lazy(group: Mapping[str, Any]) -> None:
    """Refuse a sparse gradient where a lazy update would not be what the options ask for.

    Raises:
        RuntimeError: the message has the option and the reason.
    """
    why = {
        "weight_decay": "the decay of rows without a gradient would be left out",
        "feasible_set": "the projection needs the rows without a gradient",
        "capturable": "the number of touched rows is known to the host only",
        "differentiable": "the rows are updated in place",
    }
    for option, reason in why.items():
        value = group[option]
        # A set may be falsy (an empty container, say) and is a set nevertheless.
        if isinstance(value, Tensor) or (value is not None and value != 0):
            msg = (
                f"AdaBelief does not support sparse gradients with {option}={value}: {reason}; "
                "use sparse=False in the layer that makes them"
            )
            raise RuntimeError(msg)
