"""Examples in docstrings print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import adabelief


def modules() -> dict[str, ModuleType]:
    """The modules of the package whose docstrings have examples."""
    found = {}
    for info in pkgutil.walk_packages(adabelief.__path__, "adabelief."):
        if info.name.startswith("adabelief.kernels."):  # Triton may be missing
            continue
        module = importlib.import_module(info.name)
        if any(test.examples for test in doctest.DocTestFinder().find(module)):
            found[info.name] = module
    return found


MODULES = modules()


def test_the_public_modules_have_examples() -> None:
    wanted = {"diagnostics", "gradient_release", "optimizer", "param_groups", "reference"}
    assert {f"adabelief.{name}" for name in wanted} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_print_what_they_say(name: str) -> None:
    outcome = doctest.testmod(MODULES[name])
    assert outcome.attempted
    assert not outcome.failed
