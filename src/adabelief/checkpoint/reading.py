"""Where an optimizer's state_dict is: given as it is, within a training checkpoint, in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

Checkpoint = Mapping[str, Any] | str | os.PathLike[str]


def read_checkpoint(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Return the one state_dict of an optimizer in a checkpoint, a mapping or a file.

    Files are read with `torch.load(weights_only=True)`, onto the CPU. A training checkpoint may
    hold it under any key ("optimizer", "optimizer_state_dict", ...) or in a list under one
    (Lightning's "optimizer_states"), as long as it holds only one.

    Raises:
        ValueError: not a checkpoint, no optimizer's state_dict in it, or several.
        OSError: the file cannot be opened.
        TypeError: neither a mapping nor a path.
    """
    if isinstance(checkpoint, (str, os.PathLike)):
        loaded, origin = _load(checkpoint), f"in {os.fspath(checkpoint)!r}"
    else:
        loaded, origin = checkpoint, "in the mapping"
        if not isinstance(checkpoint, Mapping):
            msg = f"checkpoint must be a mapping or a path, got {type(checkpoint).__name__}"
            raise TypeError(msg)
    if not isinstance(loaded, Mapping):
        msg = f"checkpoint must be a mapping, got {type(loaded).__name__} {origin}"
        raise ValueError(msg)
    if _of_optimizer(loaded):
        return loaded
    found = dict(_candidates(loaded))
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        msg = (
            f"checkpoint must have one optimizer's state_dict, got {len(found)} {origin}: "
            f"{', '.join(found)}; pass the one that is meant"
        )
        raise ValueError(msg)
    what = "other keys"
    if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        what = "tensors only, as in a model's state_dict"
    msg = (
        "checkpoint must be an optimizer's state_dict, with 'state' and 'param_groups', or have "
        f"one among its values; got {what} {origin}: {_some(loaded)}"
    )
    raise ValueError(msg)


def _load(path: str | os.PathLike[str]) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    # Unpickling a damaged file may fail in any way at all; all of them mean the same here.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        msg = (
            f"checkpoint must be a file that torch.load(weights_only=True) reads, got "
            f"{os.fspath(path)!r}, which it does not: {type(error).__name__}: {reason}; a file "
            "that you trust and that has other objects in it can be loaded by you and passed as "
            "a mapping"
        )
        raise ValueError(msg) from error


def _of_optimizer(value: object) -> bool:
    return isinstance(value, Mapping) and "state" in value and "param_groups" in value


def _candidates(loaded: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in loaded.items():
        if _of_optimizer(value):
            yield repr(key), value
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                if _of_optimizer(item):
                    yield f"{key!r}[{index}]", item


def _some(loaded: Mapping[str, Any]) -> str:
    names = [repr(key) for key in loaded]
    more = [f"and {len(names) - 8} more"] if len(names) > 8 else []
    return ", ".join([*names[:8], *more]) or "nothing at all"
