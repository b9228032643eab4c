"""The options of one group of another library, and where its rules are not ours."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from adabelief.checkpoint.dialects import ADAM, BASE, KEPT, OPTIONS, OWN, SILENT, Dialect
from adabelief.hyperparameters import Hyperparameters
from adabelief.step.scalars import rectification

_FIELDS = {option.name: option.default for option in fields(Hyperparameters)}

# Half the spacing of float32 at 1: a relative difference below it is lost in rounding.
UNSEEN = 2.0**-24


@dataclass(frozen=True, slots=True)
class GroupReading:
    """What one group says.

    Args:
        ours: its options in our words, and the keys of schedules; without "params".
        betas: of its averages: for Adam as saved, else as they go on.
        eps: ε as it goes on.
        differences: see `Translation`.
        left_out: keys without meaning here.
    """

    ours: dict[str, Any]
    betas: tuple[float, float]
    eps: float
    differences: tuple[str, ...]
    left_out: tuple[str, ...]


def read_group(
    dialect: Dialect,
    group: Mapping[str, Any],
    states: Sequence[Mapping[str, Any]],
    steps: Sequence[int],
    options: Mapping[str, Any],
) -> GroupReading:
    """Read a group, `options` winning over what it says.

    Args:
        dialect: whose group it is.
        group: as in a state_dict.
        states: the states of its parameters, {} where there is none.
        steps: t of those that have one.
        options: of AdaBelief, valid.

    Raises:
        ValueError: options are missing, out of range, or have no counterpart here.
    """
    theirs, assumed = _theirs(dialect, group, steps)
    acted = {**theirs, **{name: options[name] for name in options if name in theirs}}
    if dialect.name == ADAM:
        _check_adam(group, acted, options)
        theirs["eps"] = _FIELDS["eps"]  # Adam's is another quantity
    ours = {**_FIELDS, **theirs, **options}
    differences: list[str] = []
    ignored = dialect.rectify_ignores_amsgrad and acted["rectify"]
    if ignored and theirs["amsgrad"] and "amsgrad" not in options:
        ours["amsgrad"] = False
        differences.append(
            "amsgrad has no effect there while rectify is on, so it is off here; with "
            "amsgrad=True it acts from now on"
        )
    try:
        Hyperparameters.of(ours)
        if dialect.name == ADAM:  # s is estimated with these, whatever the options are
            Hyperparameters(betas=theirs["betas"])
    except (TypeError, ValueError) as error:
        msg = f"is not possible: {error}"
        raise ValueError(msg) from error
    differences += _unknown_options(dialect, acted, [o for o in assumed if o not in options])
    if acted["rectify"]:
        differences += _of_rectify(dialect, group, acted, steps)
    if dialect.step_in_group:
        differences += _of_pytorch_optimizer(group, acted, states, steps)
    kept = KEPT if dialect.name != OWN else set(group) - {"params"}
    left_out = (dialect.silent | SILENT) & set(group) - {"params"} - kept
    known = {*BASE, *dialect.keys.values(), *dialect.silent, *SILENT, *kept}
    if unknown := sorted(map(str, set(group) - known)):
        differences.append(f"its group keys {', '.join(unknown)} are not known and were left out")
    ours |= {key: group[key] for key in group if key in kept and key not in _FIELDS}
    betas = theirs["betas"] if dialect.name == ADAM else ours["betas"]
    return GroupReading(ours, betas, float(ours["eps"]), tuple(differences), tuple(left_out))


def _theirs(
    dialect: Dialect, group: Mapping[str, Any], steps: Sequence[int]
) -> tuple[dict[str, Any], list[str]]:
    """The options of a group in our words, and which of them it does not say."""
    missing = [key for key in BASE if key not in group]
    if missing and dialect.name != OWN:
        msg = f"must have {', '.join(BASE)}, got no {', '.join(missing)}"
        raise ValueError(msg)
    theirs: dict[str, Any] = {key: group.get(key, _FIELDS[key]) for key in BASE}
    if isinstance(theirs["betas"], (tuple, list)):
        theirs["betas"] = tuple(map(_number, theirs["betas"]))
    if dialect.name == OWN:  # the options that only we have
        theirs |= {name: group[name] for name in _FIELDS if name in group and name not in theirs}
    seen = None
    if any(steps) and "buffer" in dialect.silent and "buffer" in group:
        seen = any(entry[0] is not None for entry in _buffer(group))
    assumed = []
    for option in OPTIONS:
        key = dialect.keys.get(option)
        if key is not None and key in group:
            theirs[option] = group[key]
        elif option == "rectify" and seen is not None:
            theirs[option] = seen
        else:
            theirs[option] = dialect.defaults.get(option, _FIELDS[option])
            assumed += [option] * (option in dialect.defaults)
    if dialect.name != OWN:  # everywhere else a fixed decay that is coupled is just coupled
        theirs["fixed_decay"] = theirs["fixed_decay"] and theirs["decoupled_weight_decay"]
    return theirs, assumed


def _number(value: Any) -> Any:
    """A plain number for a tensor or an array of one element, as torch's Adam takes for betas."""
    return value.item() if hasattr(value, "item") else value


def _buffer(group: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """[step, ρ_t, step size] of up to ten steps with rectification, None where there was none."""
    buffer = group.get("buffer", ())
    triples = isinstance(buffer, (list, tuple)) and all(
        isinstance(entry, (list, tuple)) and len(entry) == 3 for entry in buffer
    )
    if not triples:
        msg = f"must have a list of triples as buffer, got {buffer!r:.60}"
        raise ValueError(msg)
    return buffer


def _unknown_options(
    dialect: Dialect, acted: Mapping[str, Any], assumed: Collection[str]
) -> list[str]:
    """The options that a checkpoint does not hold, where they matter."""
    without = set() if acted["weight_decay"] else {"decoupled_weight_decay", "fixed_decay"}
    if not acted["decoupled_weight_decay"]:
        without.add("fixed_decay")
    named = [f"{name}={acted[name]}" for name in assumed if name not in without]
    if not named:
        return []
    there = " (weight_decouple there)" if "decoupled_weight_decay" in {*assumed} - without else ""
    return [
        f"it does not say {', '.join(named)}{there}: these are that library's defaults; pass the "
        "options if they were others"
    ]


def _of_rectify(
    dialect: Dialect, group: Mapping[str, Any], acted: Mapping[str, Any], steps: Sequence[int]
) -> list[str]:
    beta2, eps = acted["betas"][1], float(acted["eps"])
    found = []
    nexts = [step + 1 for step in steps] or [1]
    if any(rectification(step, beta2) is None for step in nexts):
        stopped = any((entry[2] or 0) < 0 for entry in _buffer(group))
        if stopped or group.get("degenerated_to_sgd") is False:
            found.append(
                "rectify has not begun to act, and its first steps are not the lr · m̂ of here: "
                "with degenerated_to_sgd=False they do nothing"
            )
        if dialect.name == "pytorch_optimizer":
            found.append(
                "it does not say degenerated_to_sgd=True, n_sma_threshold=5: these are that "
                "library's defaults, and the only ones that exist here"
            )
    if dialect.rectified_eps:
        # With √s ≥ √(ε c / (1 − β₂)), c = 1 − β₂ᵗ, ε for ε √c is at most this part of the divisor.
        correction = 1 - beta2 ** min(nexts)
        part = math.sqrt(eps * (1 - beta2) / correction) * (1 - math.sqrt(correction))
        if part > UNSEEN:
            found.append(
                "with rectify its eps beside the root is not multiplied by √(1 − β₂ᵗ): steps "
                f"differ by a part of {part:.1g} at most, fewer and fewer as t grows"
            )
    return found


def _of_pytorch_optimizer(
    group: Mapping[str, Any],
    acted: Mapping[str, Any],
    states: Sequence[Mapping[str, Any]],
    steps: Sequence[int],
) -> list[str]:
    if group.get("adanorm"):
        msg = "has adanorm=True, which changes what exp_avg is and does not exist here"
        raise ValueError(msg)
    found = []
    if group.get("adam_debias") and acted["betas"][0] ** (min(steps, default=0) + 1) > UNSEEN:
        found.append("with adam_debias its exp_avg is not divided by 1 − β₁ᵗ; here it is")
    if group.get("step") and not all(states):
        found.append(
            "it counts the steps of a group; a parameter that has had no gradient yet begins "
            "with step 1 here, and in the middle of the count there"
        )
    return found


def _check_adam(
    group: Mapping[str, Any], acted: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Older torch versions save the same for Adam, whose decay is coupled, and for AdamW."""
    said = {*group, *options}
    if acted["weight_decay"] and "decoupled_weight_decay" not in said:
        msg = (
            f"has weight_decay={acted['weight_decay']} and does not say whether it is AdamW's; "
            "pass decoupled_weight_decay=True (AdamW) or False (Adam)"
        )
        raise ValueError(msg)
