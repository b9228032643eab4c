"""Every optimizer of the catalogue by an id that never changes, whatever file it stands in."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.make_optimizer import make_optimizer

# Keys of runs are made of these ids, so an id is never given to another optimizer.
IMPLEMENTATIONS: Mapping[str, str] = {
    "adabelief": "adabelief:AdaBelief",
    "sgd": "torch.optim:SGD",
    "adam": "torch.optim:Adam",
    "adamw": "torch.optim:AdamW",
    "nadam": "torch.optim:NAdam",
    "radam": "torch.optim:RAdam",
    "rmsprop": "torch.optim:RMSprop",
    "adagrad": "torch.optim:Adagrad",
    "adadelta": "torch.optim:Adadelta",
    "eadam": "adabelief_lab.optimizers.implementations.eadam:EAdam",
    "acprop": "adabelief_lab.optimizers.implementations.acprop:ACProp",
    "sgd-ema": "adabelief_lab.optimizers.implementations.sgd_ema:EMASGD",
    "adabound": "adabelief_lab.optimizers.implementations.adabound:AdaBound",
    "padam": "adabelief_lab.optimizers.implementations.padam:Padam",
    "swats": "adabelief_lab.optimizers.implementations.swats:SWATS",
    "yogi": "pytorch_optimizer:Yogi",
    "msvag": "pytorch_optimizer:MSVAG",
    "fromage": "pytorch_optimizer:Fromage",
    "lookahead": "adabelief_lab.optimizers.implementations.lookahead:Lookahead",
    "lars": "adabelief_lab.optimizers.implementations.lars:LARS",
    "l2": "adabelief_lab.optimizers.implementations.l2:L2",
}


def import_path(implementation: str) -> str:
    """The import path "package.module:Class" of an id; a path is returned as it is.

    Raises:
        LabError: the id is unknown.
    """
    if ":" in implementation:
        return implementation
    if implementation not in IMPLEMENTATIONS:
        close = difflib.get_close_matches(implementation, IMPLEMENTATIONS, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        msg = f"unknown optimizer implementation {implementation!r}{hint}"
        raise LabError(msg)
    return IMPLEMENTATIONS[implementation]


class Around(Protocol):
    """An optimizer around another one, as it is declared."""

    @property
    def implementation(self) -> str:
        """An id of `IMPLEMENTATIONS`, or an import path."""

    @property
    def arguments(self) -> dict[str, Any]:
        """Its keyword arguments."""


class Declared(Protocol):
    """An optimizer as a run or a spec of the catalogue declares it."""

    @property
    def implementation(self) -> str:
        """An id of `IMPLEMENTATIONS`, or an import path."""

    @property
    def wrappers(self) -> Sequence[Around]:
        """Optimizers around it, the outermost first."""


def import_paths(declared: Declared) -> list[str]:
    """The import path of the optimizer, and those of its wrappers.

    Raises:
        LabError: an id is unknown.
    """
    around = [import_path(each.implementation) for each in declared.wrappers]
    return [import_path(declared.implementation), *around]


def make_declared_optimizer(
    declared: Declared, params: ParamsT, hyperparameters: Mapping[str, Any]
) -> Optimizer:
    """The declared optimizer, inside its wrappers, with hyperparameters as JSON gives them.

    Raises:
        LabError: an id or an import path is unknown, or the class does not take an argument.
    """
    wrappers = [(import_path(each.implementation), each.arguments) for each in declared.wrappers]
    return make_optimizer(import_path(declared.implementation), params, hyperparameters, wrappers)
