"""How each library writes AdaBelief down: its words for the options, and where it differs.

Read in the sources of the versions named, and compared with what they do by
tests/checkpoint/test_translation.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OWN, ADAM, AUTHORS = "adabelief", "adam", "adabelief-pytorch==0.2.1"

# Keys that belong to schedulers or to the user: they stay in the groups.
KEPT = frozenset(
    {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"}
    | {"lr_scale", "name", "param_names"}
)
# Keys of any optimizer that say how it computes, or where, but not what.
SILENT = frozenset({"params", "foreach", "fused", "capturable", "differentiable"})

BASE = ("lr", "betas", "eps", "weight_decay")
OPTIONS = ("amsgrad", "decoupled_weight_decay", "fixed_decay", "rectify", "maximize")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a state_dict of one library means.

    Args:
        name: what `source` calls it.
        marks: keys that its groups have, together, and no other source's groups.
        keys: our option → its key in a group; what is not here is kept outside the checkpoint.
        defaults: our option → its value there, if the group does not say.
        silent: keys of its groups and states that do not change what is computed here.
        second: state key of s (of v, for Adam).
        step_in_group: the count of steps is the group's.
        rectify_ignores_amsgrad: with both on, the maximum is not used.
        rectified_eps: with rectify, ε is beside the uncorrected √s.
        complex_in_pairs: complex state is pairs of reals, as here.
    """

    name: str
    marks: frozenset[str] = frozenset()
    keys: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    second: str = "exp_avg_var"
    step_in_group: bool = False
    rectify_ignores_amsgrad: bool = False
    rectified_eps: bool = False
    complex_in_pairs: bool = False


_NAMES = {name: name for name in OPTIONS}
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            OWN,
            marks=frozenset({"decoupled_weight_decay", "fixed_decay"}),
            keys=_NAMES,
            complex_in_pairs=True,
        ),
        Dialect(
            "timm",
            marks=frozenset({"decoupled_decay", "degenerated_to_sgd"}),
            keys={**_NAMES, "decoupled_weight_decay": "decoupled_decay"},
            defaults={"decoupled_weight_decay": True, "fixed_decay": False, "rectify": True},
            silent=frozenset({"degenerated_to_sgd"}),
            rectify_ignores_amsgrad=True,
            rectified_eps=True,
        ),
        Dialect(
            "pytorch_optimizer",
            marks=frozenset({"weight_decouple", "ams_bound", "rectify"}),
            keys={
                "amsgrad": "ams_bound",
                "decoupled_weight_decay": "weight_decouple",
                "fixed_decay": "fixed_decay",
                "rectify": "rectify",
            },
            defaults={"decoupled_weight_decay": True, "fixed_decay": False, "maximize": False},
            silent=frozenset({"step", "adanorm", "adanorm_r", "adam_debias"}),
            step_in_group=True,
            rectified_eps=True,
            complex_in_pairs=True,
        ),
        Dialect(
            AUTHORS,
            marks=frozenset({"buffer"}),
            keys={"amsgrad": "amsgrad"},
            defaults={"decoupled_weight_decay": True, "fixed_decay": False, "rectify": True},
            silent=frozenset({"buffer"}),
            rectify_ignores_amsgrad=True,
            rectified_eps=True,
        ),
        Dialect(
            ADAM,
            keys={name: name for name in ("amsgrad", "decoupled_weight_decay", "maximize")},
            silent=frozenset({"max_exp_avg_sq"}),
            second="exp_avg_sq",
            complex_in_pairs=True,
        ),
    )
}
SOURCES = tuple(DIALECTS)


def detect(groups: Sequence[Mapping[str, Any]], inside: Collection[str]) -> str:
    """Return the source of groups and of states with the keys `inside`.

    Raises:
        ValueError: it is none of them, or it is Adam's, for which one has to ask.
    """
    keys = frozenset.intersection(*(frozenset(group) for group in groups))
    if "exp_avg_sq" in inside and "amsgrad" in keys:
        msg = (
            "checkpoint must be of AdaBelief, got one of Adam or AdamW: its exp_avg_sq is the "
            "mean of g², not of (g - m)²; pass source='adam' for a warm start, which keeps step "
            "and exp_avg and estimates exp_avg_var"
        )
        raise ValueError(msg)
    if not inside or "exp_avg_var" in inside:
        for dialect in DIALECTS.values():
            if dialect.marks and dialect.marks <= keys:
                return dialect.name
    if "rho_inf" in inside:
        msg = (
            f"checkpoint must be of one of {', '.join(SOURCES)}, got one of adabelief-pytorch "
            "0.0.5 or of torch_optimizer (rho_inf is in its state), which are not read"
        )
        raise ValueError(msg)
    msg = (
        f"checkpoint must be of one of {', '.join(SOURCES)}, got groups with the keys "
        f"{_listed(keys - {'params'})} and states with {_listed(inside)}; if it is of one of "
        "them nevertheless, pass its name as source"
    )
    raise ValueError(msg)


def _listed(keys: Collection[str]) -> str:
    return ", ".join(sorted(map(str, keys))) or "nothing"
