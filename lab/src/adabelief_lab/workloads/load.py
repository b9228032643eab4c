"""Find a workload: one of this package by name, or a user's own as `file.py:name`.

The name is that of a `Workload`, or of a function without arguments that returns one.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.workload import Workload
from adabelief_lab.workloads import WORKLOADS


class Loaded(NamedTuple):
    """A workload and where it came from: `hash` is the sha256 of its file, "" for ours."""

    workload: Workload
    source: str
    hash: str


def load_workload(reference: str) -> Loaded:
    """Return the workload that `reference` names.

    Raises:
        LabError: there is none; the message offers the closest names.
    """
    path, colon, name = reference.rpartition(":")
    if colon and path.endswith(".py"):
        return _load_file(Path(path), name)
    if reference.endswith(".py"):
        msg = f"{reference!r} names a file; say which workload in it: {reference}:NAME"
        raise LabError(msg)
    if reference not in WORKLOADS:
        close = difflib.get_close_matches(reference, WORKLOADS, n=3, cutoff=0.45)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        listed = ", ".join(WORKLOADS)
        msg = f"unknown workload {reference!r}: {hint}There are {listed}, or a file.py:name"
        raise LabError(msg)
    return Loaded(WORKLOADS[reference], "", "")


def _load_file(path: Path, name: str) -> Loaded:
    if not path.is_file():
        msg = f"there is no file {path}"
        raise LabError(msg)
    module = _import(path)
    workload = getattr(module, name, None)
    called = isinstance(workload, FunctionType)
    if called:
        workload = _returned(path, workload)
    if not isinstance(workload, Workload):
        found = [key for key, value in vars(module).items() if isinstance(value, Workload)]
        kind = f"a {'function that returns a ' if called else ''}{type(workload).__name__}"
        has = kind if hasattr(module, name) else "nothing of that name"
        msg = (
            f"{path} must have a Workload, or a function that returns one, named {name!r}, it has "
            f"{has}; Workloads in it: {', '.join(found) or 'none'}"
        )
        raise LabError(msg)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Loaded(workload, f"{path.resolve()}:{name}", digest)


def _returned(path: Path, function: Any) -> object:
    """What the user's function returns; it is called once in every process, without arguments."""
    try:
        return function()
    except Exception as error:
        msg = f"{path}: {function.__name__}() raised {type(error).__name__}: {error}"
        raise LabError(msg) from error


def _import(path: Path) -> ModuleType:
    """Run the user's file as a module; its own folder is importable, as for `python file.py`."""
    spec = importlib.util.spec_from_file_location(f"_adabelief_workload_{path.stem}", path)
    if spec is None or spec.loader is None:
        msg = f"{path} is not a Python file"
        raise LabError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        msg = f"{path} could not be imported: {type(error).__name__}: {error}"
        raise LabError(msg) from error
    return module
