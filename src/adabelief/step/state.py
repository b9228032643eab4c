"""What AdaBelief keeps for each parameter, in the formats that the options ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from adabelief.kernels.abi import HALF
from adabelief.low_precision import bfloat16, e5m3
from adabelief.low_precision.memory_layout import is_dense
from adabelief.step.dtensor import local, shaped_as

State: TypeAlias = dict[str, Tensor]
STATE_TENSORS = ("exp_avg", "exp_avg_var", "max_exp_avg_var")
EXPONENT = "exp_avg_var_exponent"
MASTER = "master_param"  # in checkpoints, for master_bits


def arithmetic_dtype(param: Tensor) -> torch.dtype:
    """Dtype of the arithmetic: float32 for half precision, else the parameter's."""
    return torch.float32 if param.dtype in HALF else param.dtype


def formats(param: Tensor, group: Mapping[str, Any]) -> dict[str, torch.dtype]:
    """The tensors that belong to a parameter's state under a group's options, and their dtypes.

    Small state is for float32 arithmetic; a model that was cast to float64 since has wide state.
    """
    wide = arithmetic_dtype(param)
    small = small_state(group) if wide == torch.float32 else None
    first = wide if small is None else torch.bfloat16
    found = {"exp_avg": first, "exp_avg_var": torch.uint8 if small == "8bit" else first}
    if group["amsgrad"]:
        found["max_exp_avg_var"] = first
    if group["master_weights"] == "split" and param.dtype == torch.bfloat16:
        found["master_bits"] = torch.int16
    return found


def small_state(group: Mapping[str, Any]) -> str | None:
    """The option `state_dtype`, as a word."""
    return "bfloat16" if group["state_dtype"] == torch.bfloat16 else group["state_dtype"]


def fill(state: State, param: Tensor, group: Mapping[str, Any]) -> None:
    """Make a parameter's state what the options ask for: all of it before the first step."""
    capturable = group["capturable"]
    if "exp_avg" not in state:
        # zeros: no copy from the host; on the host a constant, which fake tensors can read.
        state["step"] = (
            torch.zeros((), dtype=torch.float32, device=param.device)
            if capturable
            else step_count(0)
        )
    elif capturable and state["step"].device != param.device:  # switched on later
        state["step"] = state["step"].to(param.device)
    wanted = formats(param, group)
    for key, dtype in wanted.items():
        if key not in state:
            # Zero is below every s, so switching amsgrad on later starts at that moment's s.
            state[key] = torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)
            if dtype == torch.uint8:
                state[EXPONENT] = _no_exponents(state[key])
        elif not _lies_as(state[key], param, dtype):
            # An option changed, or the model was cast, moved or given another memory layout.
            put(state, key, widened(state, key), param, dtype)
    for key in ("max_exp_avg_var", "master_bits", EXPONENT):
        needed = key in wanted or (key == EXPONENT and wanted["exp_avg_var"] == torch.uint8)
        # amsgrad's maximum stays: switched off and on again, it goes on.
        if key in state and not needed and key != "max_exp_avg_var":
            del state[key]


def _no_exponents(codes: Tensor) -> Tensor:
    """Exponents of blocks of zeros, for this process's part of the codes."""
    part = local(codes, codes)
    return torch.zeros(e5m3.blocks(part.numel()), dtype=torch.uint8, device=part.device)


def _lies_as(tensor: Tensor, param: Tensor, dtype: torch.dtype) -> bool:
    """Whether a tensor of state is where its parameter is, of this dtype, and in its layout."""
    if tensor.dtype != dtype or tensor.device != param.device:
        return False
    return tensor.stride() == param.stride() or not is_dense(param)


def widened(state: Mapping[str, Tensor], key: str) -> Tensor:
    """A tensor of state as numbers, whatever format it is kept in."""
    stored = state[key]
    if stored.dtype != torch.uint8:
        return stored
    return _elementwise(lambda codes: e5m3.decode(codes, state[EXPONENT]), stored)


def put(state: State, key: str, value: Tensor, param: Tensor, dtype: torch.dtype) -> None:
    """Keep a new copy of `value` as `state[key]`, rounded to nearest, laid out as `param`."""
    target = torch.empty_like(param, dtype=dtype, memory_format=torch.preserve_format)
    if dtype != torch.uint8:
        state[key] = target.copy_(value)
        return
    wide = torch.empty_like(param, dtype=torch.float32).copy_(value)

    def encode(part: Tensor) -> Tensor:
        half = torch.full_like(part, 0x8000, dtype=torch.int32)  # adds half of what is dropped
        codes, exponents = e5m3.encode(part, half)
        state[EXPONENT] = exponents
        return codes

    state[key] = _elementwise(encode, wide)


def _elementwise(function: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """Apply a function to a tensor, or to this process's part of it."""
    return shaped_as(function(local(tensor, tensor)), tensor)


def portable(state: Mapping[str, Tensor], param: Tensor) -> Mapping[str, Tensor]:
    """State as it is saved: in dtypes that can be cut, gathered and read anywhere.

    E5M3 becomes bfloat16, which holds it exactly: blocks and their exponents follow this process's
    memory, which a resumed run may divide otherwise. `master_bits` become `master_param`, the
    float32 parameter: no backend of torch.distributed gathers int16.
    """
    if EXPONENT not in state and "master_bits" not in state:
        return state
    saved = {key: value for key, value in state.items() if key not in (EXPONENT, "master_bits")}
    if EXPONENT in state:
        saved["exp_avg_var"] = _elementwise(bfloat16.nearest, widened(state, "exp_avg_var"))
    if "master_bits" in state:
        rest = state["master_bits"]
        part = bfloat16.join(local(param.detach(), param), local(rest, param))
        saved[MASTER] = shaped_as(part, param)
    return saved


def put_master(state: State, master_weights: Tensor, param: Tensor) -> None:
    """Keep what a bfloat16 parameter lacks of `master_weights`, its float32 value."""
    wide = torch.empty_like(param, dtype=torch.float32).copy_(master_weights)
    state["master_bits"] = _elementwise(lambda part: bfloat16.split(part)[1], wide)


def step_count(step: float | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Step t in float32 whatever torch's defaults: bfloat16 would stop at 256.

    On the host, or beside the parameter where it must advance without the host (capturable).
    """
    if isinstance(step, Tensor):
        return step.detach().to(device, torch.float32, copy=True).reshape(())
    return torch.tensor(float(step), dtype=torch.float32, device=device)
