"""Saving and loading: state in portable formats, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from torch import Tensor
from torch.optim.optimizer import Optimizer

from adabelief.hyperparameters import Hyperparameters
from adabelief.step.state import (
    MASTER,
    STATE_TENSORS,
    formats,
    portable,
    put,
    put_master,
    step_count,
)


@contextmanager
def portable_saving(optimizer: Optimizer) -> Iterator[None]:
    """What `Optimizer.state_dict` returns meanwhile can be loaded however it is sharded."""

    def convert(_: Optimizer, saved: dict[str, Any]) -> None:
        params = [param for group in optimizer.param_groups for param in group["params"]]
        for index, state in saved["state"].items():
            if isinstance(index, int):  # others are not about a parameter
                saved["state"][index] = portable(state, params[index])

    # The first of the post-hooks: the user's own see the state as it will be saved.
    handle = optimizer.register_state_dict_post_hook(convert, prepend=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def checked_loading(optimizer: Optimizer) -> Iterator[None]:
    """`Optimizer.load_state_dict` meanwhile refuses what does not fit, and rounds nothing."""
    seen: dict[str, Any] = {}

    def check(_: Optimizer, incoming: dict[str, Any]) -> None:
        check_loadable(optimizer, incoming)
        seen.update(incoming)

    def put_back(_: Optimizer) -> None:
        restore(optimizer, seen)

    # The last of the pre-hooks sees what the user's own hooks made of the state dict; the
    # first of the post-hooks lets them see the state as it will stay.
    before = optimizer.register_load_state_dict_pre_hook(check)
    after = optimizer.register_load_state_dict_post_hook(put_back, prepend=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()


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
        for key in (*STATE_TENSORS, MASTER):
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
    """Copy the state's tensors again from the checkpoint, in the formats of the options."""
    groups = {param: group for group in optimizer.param_groups for param in group["params"]}
    for index, param in _pairs(optimizer, state_dict):
        saved = state_dict["state"].get(index)
        if not saved:
            continue
        group, state = groups[param], optimizer.state[param]
        wanted = formats(param, group)
        for key, value in saved.items():
            if key == MASTER and "master_bits" in wanted:
                put_master(state, value, param)
            if key == MASTER:
                del state[key]
            elif key in wanted:
                put(state, key, value, param, wanted[key])
            elif key == "max_exp_avg_var":  # of amsgrad that is off: as it was saved
                put(state, key, value, param, value.dtype)
            elif key == "step":
                device = param.device if group["capturable"] else "cpu"
                state[key] = step_count(value, device)
