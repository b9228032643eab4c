"""What an optimizer or a checkpoint holds of each parameter, as NumPy arrays of some elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief.checkpoint import read_checkpoint, translate
from adabelief.checkpoint.reading import Checkpoint
from adabelief.step.dtensor import local
from adabelief.step.scalars import Coefficients, coefficients
from adabelief.step.state import MASTER, widened

Array = NDArray[np.float64]

# Elements of a parameter that are looked at: quantiles of so many are within two percentage points
# of the truth (95 %: 1.96 √(1/4 / 4096)).
SAMPLE = 4096


@dataclass(frozen=True)
class Sample:
    """A parameter after its last step. Arrays have one value for each element looked at.

    Args:
        name: the parameter's, or "0.2" for the third of the first group where nobody named it.
        group: number of its group.
        numel: elements of the whole parameter (of this process's part of it, if it is sharded).
        step: t of its last update.
        eps: ε of its group.
        lr: of its group.
        c: the scalars of update t.
        weight: elements that each one looked at stands for.
        exp_avg: m.
        exp_avg_var: s, or its running maximum with amsgrad.
        grad: g of the last step, if it is still there.
        param: θ, if it is known.
    """

    name: str
    group: int
    numel: int
    step: int
    eps: float
    lr: float
    c: Coefficients
    weight: float
    exp_avg: Array
    exp_avg_var: Array
    grad: Array | None = None
    param: Array | None = None


def from_optimizer(
    optimizer: Optimizer, model: nn.Module | None = None, limit: int | None = SAMPLE
) -> list[Sample]:
    """Samples of every parameter that has been updated.

    Args:
        optimizer: an AdaBelief.
        model: whose names the parameters get; else those that the optimizer was given.
        limit: elements of each parameter, evenly spaced; None takes all.

    Raises:
        TypeError: its groups or its state are not AdaBelief's.
        ValueError: limit is below 1.
    """
    check_limit(limit)
    return [_at_most(one, limit) for one in _updated(optimizer, model)]


def over_all(optimizer: Optimizer, total: int) -> list[Sample]:
    """About `total` elements, evenly spaced over all parameters one after the other.

    Quick: parameters on which none falls are not looked at, and those of one group that are at the
    same step are one sample.

    Args:
        optimizer: an AdaBelief.
        total: of all parameters together.

    Raises:
        TypeError: its groups or its state are not AdaBelief's.
    """
    updated = list(_updated(optimizer, None))
    sizes = [_size(one.state["exp_avg"]) for one in updated]
    # Odd: or it might fall on the same column of every row, whose length is often a power of two.
    stride = -(-sum(sizes) // total) | 1
    together: dict[tuple[Any, ...], list[tuple[_Updated, Mapping[str, Tensor]]]] = {}
    before = 0
    for one, size in zip(updated, sizes, strict=True):
        start = (stride // 2 - before) % stride
        before += size
        if start < size:
            parts = _some(one, start, stride)
            # Of a model on several devices, arrays of one group cannot be joined where they are.
            key = (one.number, int(one.state["step"]), parts["exp_avg"].device, *parts)
            together.setdefault(key, []).append((one, parts))
    samples = []
    for members in together.values():
        first, known = members[0]
        parts = {key: torch.cat([parts[key] for _, parts in members]) for key in known}
        samples.append(_sample(first, parts, stride * len(parts["exp_avg"]), stride))
    return samples


class _Updated(NamedTuple):
    """A parameter that has state: what a sample needs of it."""

    name: str
    number: int
    group: Mapping[str, Any]
    state: Mapping[str, Tensor]
    arrays: Mapping[str, Tensor]


def _updated(optimizer: Optimizer, model: nn.Module | None) -> Iterator[_Updated]:
    names = {id(param): name for name, param in model.named_parameters()} if model else {}
    for number, group in enumerate(optimizer.param_groups):
        given = group.get("param_names", [])
        for index, param in enumerate(group["params"]):
            state = optimizer.state.get(param)
            if not state:
                continue
            if "exp_avg_var" not in state:
                msg = f"the optimizer must be an AdaBelief, got {type(optimizer).__name__}"
                raise TypeError(msg)
            fallback = given[index] if given else f"{number}.{index}"
            grad = param.grad
            arrays = {"param": param.detach()}
            if grad is not None and grad.layout is torch.strided:
                arrays["grad"] = -grad if group["maximize"] else grad
            yield _Updated(names.get(id(param), fallback), number, group, state, arrays)


def from_checkpoint(
    checkpoint: Checkpoint,
    source: str | None = None,
    names: Sequence[str] = (),
    limit: int | None = SAMPLE,
) -> list[Sample]:
    """Samples from an optimizer's state_dict, a training checkpoint, or a file of either.

    Args:
        checkpoint: as `AdaBelief.from_checkpoint` takes it, of any library that it reads.
        source: which library wrote it; None tells it from the keys.
        names: of all parameters in the optimizer's order, if the checkpoint has none.
        limit: elements of each parameter, evenly spaced; None takes all.

    Raises:
        ValueError: it cannot be read as an AdaBelief's; or names are fewer or more than parameters.
        OSError: the file cannot be opened.
    """
    check_limit(limit)
    state_dict = translate(read_checkpoint(checkpoint), source=source).state_dict
    total = sum(len(group["params"]) for group in state_dict["param_groups"])
    if names and len(names) != total:
        msg = f"names must be those of the checkpoint's {total} parameters, got {len(names)}"
        raise ValueError(msg)
    left = iter(names)
    samples = []
    for number, group in enumerate(state_dict["param_groups"]):
        given = group.get("param_names", [])
        for index, key in enumerate(group["params"]):
            fallback = given[index] if given else f"{number}.{index}"
            name = next(left, fallback)
            if state := state_dict["state"].get(key):
                arrays = {"param": state[MASTER]} if MASTER in state else {}
                one = _Updated(name, number, group, state, arrays)
                samples.append(_at_most(one, limit))
    return samples


def check_limit(limit: int | None) -> None:
    """Refuse less than one element."""
    if limit is not None and limit < 1:
        msg = f"limit must be at least 1, or None, got {limit}"
        raise ValueError(msg)


def _size(tensor: Tensor) -> int:
    """Elements of this process's part."""
    return local(tensor, tensor).numel()


def _at_most(one: _Updated, limit: int | None) -> Sample:
    size = _size(one.state["exp_avg"])
    stride = 1 if limit is None else max(1, -(-size // limit))
    parts = _some(one, 0, stride)
    return _sample(one, parts, size, size / max(1, len(parts["exp_avg"])))


def _some(one: _Updated, start: int, stride: int) -> dict[str, Tensor]:
    """Every `stride`-th element of each array, this process's; complex ones as pairs of reals."""
    group, state = one.group, one.state
    maximum = group["amsgrad"] and "max_exp_avg_var" in state
    found = {
        **one.arrays,
        "exp_avg": state["exp_avg"],
        "exp_avg_var": widened(state, "max_exp_avg_var" if maximum else "exp_avg_var"),
    }
    parts = {}
    for key, whole in found.items():
        some = local(whole, whole).reshape(-1)[start::stride]
        parts[key] = torch.view_as_real(some).reshape(-1) if some.is_complex() else some
    return parts


def _sample(one: _Updated, parts: Mapping[str, Tensor], numel: int, weight: float) -> Sample:
    step = int(one.state["step"])
    arrays = {key: part.detach().to("cpu", torch.float64).numpy() for key, part in parts.items()}
    return Sample(
        name=one.name,
        group=one.number,
        numel=numel,
        step=step,
        eps=float(one.group["eps"]),
        lr=float(one.group["lr"]),
        c=coefficients(one.group, step),
        weight=weight,
        **arrays,
    )
