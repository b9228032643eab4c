"""A state_dict of another library as one of ours, and everything that is not the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from adabelief.checkpoint.dialects import ADAM, AUTHORS, DIALECTS, SOURCES, detect
from adabelief.checkpoint.group import read_group
from adabelief.checkpoint.parameter import check_tensors, read_parameter, read_step
from adabelief.hyperparameters import Hyperparameters


@dataclass(frozen=True, slots=True)
class Translation:
    """A state_dict that `AdaBelief.load_state_dict` takes, and what became of the original.

    Args:
        state_dict: new dicts; tensors that did not have to change are the checkpoint's own.
        source: one of `SOURCES`, as given or as detected.
        differences: what will not go on as it would have there, or had to be assumed.
        notes: what was left out without consequence.
    """

    state_dict: dict[str, Any]
    source: str
    differences: tuple[str, ...]
    notes: tuple[str, ...]

    def warn(self, stacklevel: int = 2) -> None:
        """Emit one UserWarning for each difference; `stacklevel` as in `warnings.warn`."""
        for difference in self.differences:
            text = f"checkpoint of {self.source}: {difference}"
            warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)


WARM_START = (
    "a warm start, not a continuation: kept are step, exp_avg and the options lr, betas, "
    "weight_decay, amsgrad and maximize; exp_avg_var is estimated from exp_avg_sq and exp_avg "
    "(docs/checkpoints.md); left out are max_exp_avg_sq and eps, which here is {eps:g}"
)


def translate(
    checkpoint: Mapping[str, Any],
    *,
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Translation:
    """Return an optimizer's state_dict, of whichever library, as one of AdaBelief's.

    Args:
        checkpoint: what `state_dict()` returned there; not changed.
        source: one of `SOURCES`; None tells it from the keys. "adam" is never told: a warm start
            is another optimizer, so it has to be asked for.
        options: of AdaBelief, by name; they win over the checkpoint's, in every group.

    Raises:
        ValueError: it is not such a state_dict, is damaged, or has options that mean nothing
            here; the message has what was expected and what was found.
        TypeError: `options` has a name that AdaBelief does not know, or a value of a wrong kind.
    """
    options = dict(options or {})
    Hyperparameters(**options)
    groups, states = _checked(checkpoint)
    told = source is not None
    if source is None:
        source = detect(groups, {key for state in states.values() for key in state})
    elif source not in DIALECTS:
        msg = f"source must be one of {', '.join(SOURCES)}, or None, got {source!r}"
        raise ValueError(msg)
    dialect = DIALECTS[source]
    said: dict[str, list[int]] = {}
    left_out: set[str] = set()
    ours: dict[str, Any] = {"state": {}, "param_groups": []}
    for number, group in enumerate(groups):
        members = [states.get(index) or {} for index in group["params"]]
        steps = {}
        for index, state in zip(group["params"], members, strict=True):
            if state:
                with _about(f"the state of parameter {index}"):
                    check_tensors(dialect, state)
                    steps[index] = read_step(dialect, group, state)
        with _about(f"group {number} of the checkpoint"):
            reading = read_group(dialect, group, members, list(steps.values()), options)
        differences = list(reading.differences)
        left_out |= set(reading.left_out)
        if not told and dialect.name == AUTHORS:
            differences += _if_older(reading.ours)
        if dialect.name == ADAM:
            differences.append(WARM_START.format(eps=reading.ours["eps"]))
        for index, step in steps.items():
            state = states[index]
            ours["state"][index], found = read_parameter(dialect, reading, state, step)
            differences += found
            left_out |= set(state) - set(ours["state"][index]) - {dialect.second}
        for difference in dict.fromkeys(differences):
            said.setdefault(difference, []).append(number)
        ours["param_groups"].append({**reading.ours, "params": list(group["params"])})
    return Translation(
        ours,
        source,
        tuple(_with_groups(text, numbers, len(groups)) for text, numbers in said.items()),
        tuple(f"{key} was left out" for key in sorted(left_out)),
    )


def _if_older(ours: Mapping[str, Any]) -> list[str]:
    """What the authors' 0.1.0, which saves the same keys, would mean by them."""
    coupled = bool(ours["weight_decay"]) and not ours["decoupled_weight_decay"]
    both = [("amsgrad", ours["amsgrad"]), ("coupled weight decay", coupled)]
    named = [name for name, on in both if on]
    if not named:
        return []
    return [
        f"{' and '.join(named)} act otherwise in 0.1.0, whose checkpoints look the same and are "
        f"not read; pass source={AUTHORS!r} to confirm this version"
    ]


@contextmanager
def _about(what: str) -> Iterator[None]:
    """Put what a ValueError is about before its message."""
    try:
        yield
    except ValueError as error:
        msg = f"{what} {error}"
        raise ValueError(msg) from error


def _with_groups(text: str, numbers: Sequence[int], of: int) -> str:
    if len(numbers) == of:
        return text
    listed = ", ".join(map(str, numbers))
    return f"group{'s' * (len(numbers) > 1)} {listed}: {text}"


def _checked(
    checkpoint: Mapping[str, Any],
) -> tuple[list[Mapping[str, Any]], Mapping[Any, Mapping[str, Any]]]:
    """Groups and states, if they are built as torch builds them."""
    wanted = "checkpoint must be an optimizer's state_dict"
    groups, states = checkpoint.get("param_groups"), checkpoint.get("state")
    if not isinstance(groups, (list, tuple)) or not isinstance(states, Mapping) or not groups:
        msg = (
            f"{wanted}, with a mapping as 'state' and a list of groups as 'param_groups', got "
            f"{_kind(states)} and {_kind(groups)}"
        )
        raise ValueError(msg)
    for number, group in enumerate(groups):
        if not isinstance(group, Mapping) or not isinstance(group.get("params"), (list, tuple)):
            held = _kind(group.get("params")) if isinstance(group, Mapping) else _kind(group)
            msg = f"{wanted}, with a list of numbers as 'params' of group {number}, got {held}"
            raise ValueError(msg)
    members = [index for group in groups for index in group["params"]]
    if not all(isinstance(index, (int, str)) for index in members):
        msg = f"{wanted}, with numbers or names as 'params' of its groups, got {members!r:.60}"
        raise ValueError(msg)
    if len(set(members)) < len(members):
        msg = f"{wanted}, with every parameter in one group, got {members}"
        raise ValueError(msg)
    if strange := [index for index in states if index not in members]:
        msg = (
            f"{wanted}, with the state of parameters that are in its groups, got state of "
            f"{strange[0]!r} and {len(members)} parameters"
        )
        raise ValueError(msg)
    for index, state in states.items():
        if not isinstance(state, Mapping):
            msg = f"{wanted}, with a mapping as the state of parameter {index}, got {_kind(state)}"
            raise ValueError(msg)
    return list(groups), states


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.40}"


def check_fits(state_dict: Mapping[str, Any], param_groups: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a state_dict that is of other groups or of parameters with other shapes.

    Args:
        state_dict: of `translate`.
        param_groups: of the optimizer that is to load it.

    Raises:
        ValueError: with the first thing that does not fit, and with all sizes of groups.
    """
    saved = [len(group["params"]) for group in state_dict["param_groups"]]
    given = [len(group["params"]) for group in param_groups]
    if saved != given:
        msg = f"checkpoint must have groups of {given} parameters, as given, got {saved}"
        raise ValueError(msg)
    for group, saved_group in zip(param_groups, state_dict["param_groups"], strict=True):
        names = group.get("param_names") or [""] * len(group["params"])
        saved_names = saved_group.get("param_names") or names
        # State is loaded by position; other names may be the same model in another wrapper.
        if names != saved_names and sorted(names) == sorted(saved_names):
            pairs = zip(names, saved_names, strict=True)
            here, there = next((one, other) for one, other in pairs if one != other)
            msg = f"params must be in the checkpoint's order, got {here!r} where it has {there!r}"
            raise ValueError(msg)
        for param, name, index in zip(group["params"], names, saved_group["params"], strict=True):
            for key, value in state_dict["state"].get(index, {}).items():
                if isinstance(value, Tensor) and key != "step" and value.shape != param.shape:
                    msg = (
                        f"{key} of parameter {index}{f' ({name})' if name else ''} must have "
                        f"shape {tuple(param.shape)}, got {tuple(value.shape)}"
                    )
                    raise ValueError(msg)
