"""The state of one parameter of another library, as one of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adabelief.checkpoint.dialects import ADAM, OWN, Dialect
from adabelief.checkpoint.group import GroupReading
from adabelief.checkpoint.warm_start import expected_belief
from adabelief.kernels.abi import HALF
from adabelief.step.state import State, step_count


def read_step(dialect: Dialect, group: Mapping[str, Any], state: Mapping[str, Any]) -> int:
    """T of a parameter that has state.

    Raises:
        ValueError: there is none, or it is no count.
    """
    holder, where = (group, "its group") if dialect.step_in_group else (state, "its state")
    if "step" not in holder:
        msg = f"must have step in {where}, got {', '.join(map(str, holder)) or 'nothing'}"
        raise ValueError(msg)
    step = holder["step"]
    try:
        number = float(step)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if not (number >= 0 and number.is_integer()):
        msg = f"must have a whole number ≥ 0 as step, got {step!r}"
        raise ValueError(msg)
    return int(number)


def check_tensors(dialect: Dialect, state: Mapping[str, Any]) -> None:
    """Refuse a state without the two moments, or with something else in their place.

    Raises:
        ValueError: naming the key.
    """
    needed = ("exp_avg", dialect.second)
    missing = [key for key in needed if key not in state]
    if missing:
        msg = f"must have {' and '.join(needed)}, got {', '.join(map(str, state)) or 'nothing'}"
        raise ValueError(msg)
    for key in (*needed, *(["max_exp_avg_var"] if "max_exp_avg_var" in state else [])):
        value = state[key]
        if not isinstance(value, Tensor) or value.layout is not torch.strided:
            kind = str(value.layout) if isinstance(value, Tensor) else type(value).__name__
            msg = f"must have a dense tensor as {key}, got {kind}"
            raise ValueError(msg)
        if value.shape != state["exp_avg"].shape:
            msg = (
                f"must have moments of one shape, got {tuple(state['exp_avg'].shape)} as exp_avg "
                f"and {tuple(value.shape)} as {key}"
            )
            raise ValueError(msg)
        if value.is_complex() and not dialect.complex_in_pairs:
            msg = (
                f"has a complex {key}: that library squares complex residuals as complex numbers, "
                "which is not the belief in either part; begin without its state"
            )
            raise ValueError(msg)


def read_parameter(
    dialect: Dialect, reading: GroupReading, state: Mapping[str, Any], step: int
) -> tuple[State, list[str]]:
    """Return our state for a checked one of theirs, and what is different about it."""
    differences = []
    exp_avg, second = state["exp_avg"], state[dialect.second]
    if dialect.name == ADAM:
        second = expected_belief(exp_avg, second, step, reading.betas, reading.eps)
    beta2 = reading.betas[1]
    floor = reading.eps * (1 - beta2**step) / (1 - beta2)
    if dialect.name not in (OWN, ADAM) and second.dtype in HALF:
        differences.append(
            f"exp_avg_var is {str(second.dtype).removeprefix('torch.')}: what was too small for "
            "it is taken for half of its smallest number, and for no less than the eps in it"
        )
        # The largest number that rounds to zero, so that no step is larger than it may have been.
        smallest = torch.finfo(second.dtype).tiny * torch.finfo(second.dtype).eps
        second = second.float()
        second = second.where(second > 0, smallest / 2).clamp_min(floor)
    kept: State = {"step": step_count(step), "exp_avg": exp_avg, "exp_avg_var": second}
    if "max_exp_avg_var" in state and (reading.ours["amsgrad"] or dialect.name == OWN):
        kept["max_exp_avg_var"] = state["max_exp_avg_var"]
    return kept, differences
