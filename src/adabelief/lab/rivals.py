"""The optimizers that are compared: defaults, search space and the source of each number."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from adabelief.lab.errors import LabError
from adabelief.lab.factory import check_arguments, load, make

__all__ = ["LR_DECADES", "RIVALS", "LogRange", "Rival", "make", "resolve"]


class LogRange(BaseModel):
    """A range searched on a logarithmic scale, both ends included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> LogRange:
        if not 0.0 < self.low < self.high < float("inf"):
            msg = f"a LogRange needs 0 < low < high < inf, got low={self.low}, high={self.high}"
            raise ValueError(msg)
        return self

    def points(self, n: int) -> list[float]:
        """`n` values at equal ratios, rounded to 4 digits; the geometric middle for n = 1."""
        if n == 1:
            values = np.asarray([np.sqrt(self.low * self.high)])
        else:
            values = np.geomspace(self.low, self.high, n)
        return [float(f"{value:.4g}") for value in values]


class Rival(BaseModel):
    """One optimizer of a comparison.

    Args:
        name: name on the command line.
        label: name in tables and figures.
        optimizer: import path "package.module:Class".
        defaults: keyword arguments that are not searched.
        space: keyword arguments that are searched; "lr" is always among them.
        source: where the defaults and the range come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    optimizer: str
    defaults: dict[str, Any]
    space: dict[str, LogRange]
    source: str

    @model_validator(mode="after")
    def _searches_lr(self) -> Rival:
        if "lr" not in self.space:
            msg = f"rival {self.name!r} must search lr; its space has {sorted(self.space)}"
            raise ValueError(msg)
        return self

    def plan(self, trials: int) -> list[dict[str, float]]:
        """`trials` points of the space, the same for everybody who asks."""
        (name, searched), *more = self.space.items()
        if more:
            msg = f"rival {self.name!r}: only one searched hyperparameter is supported so far"
            raise ValueError(msg)
        return [{name: value} for value in searched.points(trials)]


# Equal for everybody: with as many trials, a narrower range would be searched more finely.
LR_DECADES = 3


def _decades(low: float) -> LogRange:
    return LogRange(low=low, high=low * 10**LR_DECADES)


_DECAY = (
    "weight_decay=0.01, decoupled: the default of torch.optim.AdamW and the value of Zhuang et al. "
    "2020 on ImageNet; the same for adabelief, adabelief-eps1e-8, eadam and adamw"
)
_ADAM_RANGE = (
    "lr: three decades, as for everybody; 1e-3, the default of Kingma & Ba 2015, is inside, and "
    "the best of the quick preset of fashion-mnist is in the middle"
)

RIVALS: Mapping[str, Rival] = {
    "adabelief": Rival(
        name="adabelief",
        label="AdaBelief",
        optimizer="adabelief:AdaBelief",
        defaults={"betas": [0.9, 0.999], "eps": 1e-16, "weight_decay": 0.01},
        space={"lr": _decades(1e-4)},
        source=f"eps=1e-16: default of the authors' package since 0.1.0. {_DECAY}. {_ADAM_RANGE}",
    ),
    "adabelief-eps1e-8": Rival(
        name="adabelief-eps1e-8",
        label="AdaBelief (eps 1e-8)",
        optimizer="adabelief:AdaBelief",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space={"lr": _decades(1e-4)},
        source=(
            "eps=1e-8: Zhuang et al. 2020, Algorithm 2's default, used for CIFAR and ImageNet. "
            f"{_DECAY}. {_ADAM_RANGE}"
        ),
    ),
    "eadam": Rival(
        name="eadam",
        label="EAdam",
        optimizer="adabelief.lab.optimizers.eadam:EAdam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space={"lr": _decades(1e-4)},
        source=(
            "eps=1e-8: Yuan & Gao 2020 (arXiv:2011.02150); AdaBelief's eps placement without the "
            f"belief, the control for adabelief-eps1e-8. {_DECAY}. {_ADAM_RANGE}"
        ),
    ),
    "adam": Rival(
        name="adam",
        label="Adam",
        optimizer="torch.optim:Adam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space={"lr": _decades(1e-4)},
        source=(
            "betas, eps: Kingma & Ba 2015; no weight decay, the default of torch.optim.Adam. "
            f"{_ADAM_RANGE}"
        ),
    ),
    "adamw": Rival(
        name="adamw",
        label="AdamW",
        optimizer="torch.optim:AdamW",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space={"lr": _decades(1e-4)},
        source=f"betas, eps: Loshchilov & Hutter 2019, as Adam. {_DECAY}. {_ADAM_RANGE}",
    ),
    "sgd": Rival(
        name="sgd",
        label="SGD (momentum)",
        optimizer="torch.optim:SGD",
        defaults={"momentum": 0.9, "weight_decay": 5e-4},
        space={"lr": _decades(1e-3)},
        source=(
            "momentum=0.9, weight_decay=5e-4 (L2): Zhuang et al. 2020, CIFAR. lr: three decades, "
            "as for everybody; 0.1, what their scripts run, is inside, and the best of the quick "
            "preset of fashion-mnist is in the middle"
        ),
    ),
}


def resolve(names: Iterable[str]) -> tuple[Rival, ...]:
    """The rivals of these names, in this order; "package.module:Class" is a name too.

    Raises:
        LabError: a name is unknown or given twice, or a class cannot be used.
    """
    rivals = [_resolve(name) for name in names]
    seen = [rival.name for rival in rivals]
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        msg = f"optimizers must be given once each, got twice: {', '.join(twice)}"
        raise LabError(msg)
    labels = [rival.label for rival in rivals]
    # Figures tell rivals apart by label: "adam" and "torch.optim:Adam" may both be there.
    return tuple(
        rival.model_copy(update={"label": rival.name})
        if rival.name not in RIVALS and labels.count(rival.label) > 1
        else rival
        for rival in rivals
    )


def _resolve(name: str) -> Rival:
    if name in RIVALS:
        return RIVALS[name]
    if ":" in name:
        return _given(name)
    close = difflib.get_close_matches(name.lower(), RIVALS, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    msg = (
        f"unknown optimizer {name!r}: {hint}choose from {', '.join(RIVALS)}, "
        "or give package.module:Class"
    )
    raise LabError(msg)


def _given(path: str) -> Rival:
    cls = load(path)
    check_arguments(path, cls, ["lr"])
    return Rival(
        name=path,
        label=cls.__name__,
        optimizer=path,
        defaults={},
        space={"lr": _decades(1e-4)},
        source="given on the command line",
    )
