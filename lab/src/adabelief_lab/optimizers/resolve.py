"""Optimizers by the names that are given on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.make_optimizer import check_arguments, load_class
from adabelief_lab.declare.optimizer_spec import OptimizerSpec, WrapperSpec
from adabelief_lab.optimizers.beliefs import BELIEFS
from adabelief_lab.optimizers.papers import PAPERS
from adabelief_lab.optimizers.papers import WRAPPERS as _WRAPPERS
from adabelief_lab.optimizers.spaces import ADAPTIVE_LR
from adabelief_lab.optimizers.torch_optim import TORCH

OPTIMIZERS: Mapping[str, OptimizerSpec] = {spec.name: spec for spec in (*BELIEFS, *TORCH, *PAPERS)}
WRAPPERS: Mapping[str, WrapperSpec] = {wrapping.name: wrapping for wrapping in _WRAPPERS}

# Names for several: what `adabelief compare` takes by itself; whom Zhuang et al. 2020 compare
# with, section 3; and everybody.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "default": ("adabelief", "adabelief-eps1e-8", "eadam", "adam", "adamw", "sgd"),
    "paper": (
        "adabelief-l2",
        *("sgd", "adabound", "yogi", "adam", "msvag", "radam", "adamw", "fromage"),
    ),
    "all": tuple(OPTIMIZERS),
}


def expand(names: Iterable[str]) -> list[str]:
    """The names, those of a group in its place, each once."""
    expanded = [each for name in names for each in GROUPS.get(name, (name,))]
    return list(dict.fromkeys(expanded))


def resolve(names: Iterable[str]) -> tuple[OptimizerSpec, ...]:
    """The optimizers of these names, in this order.

    A name is one of `OPTIMIZERS` or "package.module:Class", after any wrappers: "lookahead+adam",
    "lookahead+lars+sgd".

    Raises:
        LabError: a name is unknown or given twice, or a class cannot be used.
    """
    specs = [_resolve(name) for name in names]
    seen = [spec.name for spec in specs]
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        msg = f"optimizers must be given once each, got twice: {', '.join(twice)}"
        raise LabError(msg)
    labels = [spec.label for spec in specs]
    # Figures tell optimizers apart by label: "adam" and "torch.optim:Adam" may both be there.
    return tuple(
        spec.model_copy(update={"label": spec.name})
        if spec.name not in OPTIMIZERS and labels.count(spec.label) > 1
        else spec
        for spec in specs
    )


def _resolve(name: str) -> OptimizerSpec:
    *around, inside = name.split("+")
    for each in around:
        if each not in WRAPPERS:
            msg = f"{name}: unknown wrapper {each!r}: choose from {', '.join(WRAPPERS)}"
            raise LabError(msg)
    spec = _unwrapped(inside)
    if not around:
        return spec
    wrappers = tuple(WRAPPERS[each] for each in around)
    return spec.model_copy(
        update={
            "name": name,
            "label": " + ".join([*(each.label for each in wrappers), spec.label]),
            "wrappers": wrappers,
            "source": ". ".join([*(each.source for each in wrappers), spec.source]),
            "paper": {},
        }
    )


def _unwrapped(name: str) -> OptimizerSpec:
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    if ":" in name:
        return _given(name)
    close = difflib.get_close_matches(name.lower(), OPTIMIZERS, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    msg = (
        f"unknown optimizer {name!r}: {hint}choose from {', '.join(OPTIMIZERS)}, "
        "or give package.module:Class"
    )
    raise LabError(msg)


def _given(path: str) -> OptimizerSpec:
    cls = load_class(path)
    check_arguments(path, cls, ["lr"])
    return OptimizerSpec(
        name=path,
        label=cls.__name__,
        implementation=path,
        defaults={},
        space={"lr": ADAPTIVE_LR},
        source="given on the command line",
    )
