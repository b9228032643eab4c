"""What an optimizer or a checkpoint holds of each parameter, as NumPy arrays of some elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief.checkpoint import read, translate
from adabelief.checkpoint.reading import Checkpoint
from adabelief.coefficients import Coefficients, coefficients
from adabelief.sharded import local
from adabelief.state import MASTER, widened

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
    names = {id(param): name for name, param in model.named_parameters()} if model else {}
    samples = []
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
            samples.append(
                _sample(names.get(id(param), fallback), number, group, state, arrays, limit)
            )
    return samples


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
    state_dict = translate(read(checkpoint), source=source).state_dict
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
                samples.append(_sample(name, number, group, state, arrays, limit))
    return samples


def check_limit(limit: int | None) -> None:
    """Refuse less than one element."""
    if limit is not None and limit < 1:
        msg = f"limit must be at least 1, or None, got {limit}"
        raise ValueError(msg)


def _sample(
    name: str,
    number: int,
    group: Mapping[str, Any],
    state: Mapping[str, Tensor],
    arrays: Mapping[str, Tensor],
    limit: int | None,
) -> Sample:
    step = int(state["step"])
    maximum = group["amsgrad"] and "max_exp_avg_var" in state
    found = {
        **arrays,
        "exp_avg": state["exp_avg"],
        "exp_avg_var": widened(state, "max_exp_avg_var" if maximum else "exp_avg_var"),
    }
    parts = {key: local(value, value) for key, value in found.items()}
    numel = parts["exp_avg"].numel()
    stride = 1 if limit is None else -(-numel // limit) or 1
    return Sample(
        name=name,
        group=number,
        numel=numel,
        step=step,
        eps=float(group["eps"]),
        lr=float(group["lr"]),
        c=coefficients(group, step),
        **dict(_arrays(parts, stride)),
    )


def _arrays(parts: Mapping[str, Tensor], stride: int) -> Iterator[tuple[str, Array]]:
    for key, part in parts.items():
        flat = torch.view_as_real(part) if part.is_complex() else part
        some = flat.detach().reshape(-1)[::stride]
        yield key, some.to("cpu", torch.float64).numpy()
