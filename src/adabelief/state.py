"""What AdaBelief keeps for each parameter: made, checked before it is loaded, and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from adabelief.hyperparameters import Hyperparameters

State = dict[str, Tensor]
STATE_TENSORS = ("exp_avg", "exp_avg_var", "max_exp_avg_var")


def state_dtype(param: Tensor) -> torch.dtype:
    """Dtype of the state and the arithmetic: float32 for half precision, else the parameter's."""
    return torch.float32 if param.dtype in (torch.float16, torch.bfloat16) else param.dtype


def fill(state: State, param: Tensor, *, amsgrad: bool, capturable: bool) -> None:
    """Add what is missing to a parameter's state: all of it before the first step."""
    if "exp_avg" not in state:
        # zeros: no copy from the host; on the host a constant, which fake tensors can read.
        state["step"] = (
            torch.zeros((), dtype=torch.float32, device=param.device)
            if capturable
            else step_count(0)
        )
        state["exp_avg"] = _zeros(param)
        state["exp_avg_var"] = _zeros(param)
    wanted = state_dtype(param)
    if state["exp_avg"].dtype != wanted or state["exp_avg"].device != param.device:
        # The model was cast or moved after the first step (`model.double()`, `model.cuda()`).
        for key in STATE_TENSORS:
            if key in state:
                state[key] = state[key].to(param.device, wanted)
    if amsgrad and "max_exp_avg_var" not in state:
        # Zero is below every s, so switching amsgrad on later starts at that moment's s.
        state["max_exp_avg_var"] = _zeros(param)
    if capturable and state["step"].device != param.device:  # switched on later
        state["step"] = state["step"].to(param.device)


def _zeros(param: Tensor) -> Tensor:
    return torch.zeros_like(param, dtype=state_dtype(param), memory_format=torch.preserve_format)


def step_count(step: float | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Step t in float32 whatever torch's defaults: bfloat16 would stop at 256.

    On the host, or beside the parameter where it must advance without the host (capturable).
    """
    if isinstance(step, Tensor):
        return step.detach().to(device, torch.float32, copy=True).reshape(())
    return torch.tensor(float(step), dtype=torch.float32, device=device)


def check_loadable(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Refuse what another optimizer or model wrote, before anything is changed."""
    for group in state_dict["param_groups"]:
        Hyperparameters.of({**{f.name: f.default for f in fields(Hyperparameters)}, **group})
    for index, param in _pairs(optimizer, state_dict):
        state = state_dict["state"].get(index)
        if not state:
            continue
        missing = [key for key in ("step", "exp_avg", "exp_avg_var") if key not in state]
        if missing:
            msg = (
                f"the state of parameter {index} must have step, exp_avg and exp_avg_var, "
                f"got {sorted(state)}: it was not saved by AdaBelief"
            )
            raise ValueError(msg)
        for key in STATE_TENSORS:
            if key in state and state[key].shape != param.shape:
                msg = (
                    f"{key} of parameter {index} must have the parameter's shape "
                    f"{tuple(param.shape)}, got {tuple(state[key].shape)}"
                )
                raise ValueError(msg)


def _pairs(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> list[tuple[Any, Tensor]]:
    """(index in the checkpoint, parameter); torch reports groups of different lengths itself."""
    saved = [index for group in state_dict["param_groups"] for index in group["params"]]
    params = [param for group in optimizer.param_groups for param in group["params"]]
    return list(zip(saved, params, strict=False))


def restore(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Copy the state's tensors again from the checkpoint, in the dtype of the computation."""
    on_device = {
        param
        for group in optimizer.param_groups
        for param in group["params"]
        if group["capturable"]
    }
    for index, param in _pairs(optimizer, state_dict):
        for key, value in state_dict["state"].get(index, {}).items():
            if key in STATE_TENSORS:
                target = torch.empty_like(value, dtype=state_dtype(param), device=param.device)
                optimizer.state[param][key] = target.copy_(value)
            elif key == "step":
                device = param.device if param in on_device else "cpu"
                optimizer.state[param][key] = step_count(value, device)
