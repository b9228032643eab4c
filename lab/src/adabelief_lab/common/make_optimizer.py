"""Optimizers from an import path and arguments as JSON gives them."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from adabelief_lab.common.errors import LabError, needs_extra

# Packages with optimizers of the catalogue, by the extra that brings each.
EXTRAS = {"pytorch_optimizer": "rivals"}


def load_class(path: str) -> type[Optimizer]:
    """The optimizer class at "package.module:Class".

    Raises:
        LabError: there is no such module or class, or it is not a torch optimizer.
    """
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        msg = f'an optimizer is given as "package.module:Class", got {path!r}'
        raise LabError(msg)
    package = module_name.partition(".")[0]
    try:
        with needs_extra(path, package, EXTRAS[package]) if package in EXTRAS else nullcontext():
            module = importlib.import_module(module_name)
    except ImportError as error:
        msg = f"{path}: cannot import {module_name}: {error}"
        raise LabError(msg) from error
    cls = getattr(module, class_name, None)
    if cls is None:
        close = difflib.get_close_matches(class_name, dir(module), n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        msg = f"{path}: module {module_name} has no {class_name}{hint}"
        raise LabError(msg)
    if not (isinstance(cls, type) and issubclass(cls, Optimizer)):
        msg = f"{path}: must be a class derived from torch.optim.Optimizer, got {cls!r}"
        raise LabError(msg)
    return cls


def make_optimizer(
    path: str,
    params: ParamsT,
    hyperparameters: Mapping[str, Any],
    wrappers: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> Optimizer:
    """An optimizer of the class at `path`, with hyperparameters as JSON gives them.

    Lists become tuples, as torch's `betas` wants them.

    Args:
        path: import path "package.module:Class".
        params: parameters, or groups of them.
        hyperparameters: keyword arguments.
        wrappers: import path and keyword arguments of optimizers around it, the outermost first.

    Raises:
        LabError: as for `load`; or the class does not take one of the arguments.
    """
    cls = load_class(path)
    check_arguments(path, cls, hyperparameters)
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in hyperparameters.items()
    }
    # Typed as a factory: Optimizer's own __init__ is (params, defaults), its subclasses' are not.
    factory: Callable[..., Optimizer] = cls
    optimizer = factory(params, **arguments)
    for wrapper, options in reversed(wrappers):
        wrap: Callable[..., Optimizer] = load_class(wrapper)
        optimizer = wrap(optimizer, **options)
    return optimizer


def check_arguments(path: str, cls: type[Optimizer], given: Collection[str]) -> None:
    """Refuse keyword arguments that `cls` does not take, and the lack of one that it needs.

    Raises:
        LabError: names the argument, and those that it takes.
    """
    _, *accepted = inspect.signature(cls).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted):
        return
    names = [parameter.name for parameter in accepted]
    unknown = [name for name in given if name not in names]
    if unknown:
        msg = f"{path}: takes no argument {', '.join(unknown)}; it takes {', '.join(names)}"
        raise LabError(msg)
    missing = [p.name for p in accepted if p.default is p.empty and p.name not in given]
    if missing:
        msg = f"{path}: needs a value for {', '.join(missing)}"
        raise LabError(msg)
