"""The layers of both packages: a table of rooms, each with the rooms that it may import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import adabelief
from adabelief import reference
from adabelief.step import differentiable, multi_tensor, single_tensor
from paths import ROOT

SOURCES = {"adabelief": ROOT / "src", "adabelief_lab": ROOT / "lab" / "src"}

# From the bottom to the top. A room imports only rooms that stand above it in this table; which of
# them, its line says. "adabelief" and "adabelief_lab" are the packages' own front doors.
ROOMS: Mapping[str, frozenset[str]] = {
    room: frozenset(allowed.split())
    for room, allowed in {
        # the optimizer
        "adabelief.reference": "",
        "adabelief.recipes": "",
        "adabelief.schedules": "",
        "adabelief.param_groups": "",
        "adabelief.low_precision": "",
        "adabelief.feasible": "",
        "adabelief.kernels": "adabelief.low_precision",
        "adabelief.hyperparameters": "adabelief.kernels adabelief.feasible",
        "adabelief.step": "adabelief.kernels adabelief.low_precision adabelief.feasible",
        "adabelief.checkpoint": "adabelief.kernels adabelief.hyperparameters adabelief.step",
        "adabelief.optimizer": (
            "adabelief.checkpoint adabelief.feasible adabelief.hyperparameters adabelief.step"
        ),
        "adabelief.gradient_release": "adabelief.optimizer",
        "adabelief": (
            "adabelief.gradient_release adabelief.hyperparameters adabelief.optimizer "
            "adabelief.param_groups adabelief.recipes adabelief.schedules"
        ),
        "adabelief.diagnostics": "adabelief adabelief.checkpoint adabelief.step",
        # the laboratory
        "adabelief_lab": "",
        "adabelief_lab.common": "adabelief",
        "adabelief_lab.declare": "common",
        "adabelief_lab.optimizers": "common declare",
        "adabelief_lab.data": "common",
        "adabelief_lab.models": "common data",
        "adabelief_lab.features": "adabelief common data",
        "adabelief_lab.tasks": "common declare data models features",
        "adabelief_lab.workloads": "common declare optimizers data models features tasks",
        "adabelief_lab.store": "common declare",
        "adabelief_lab.run": (
            "adabelief adabelief.diagnostics common declare optimizers store"
        ),
        "adabelief_lab.conduct": "adabelief common declare optimizers workloads store run",
        "adabelief_lab.analysis": "common declare optimizers",
        "adabelief_lab.report": "common declare optimizers analysis",
        "adabelief_lab.export": "common declare store run conduct",
        "adabelief_lab.bench": "adabelief adabelief.kernels common",
        "adabelief_lab.paper": (
            "adabelief adabelief.feasible adabelief.reference common declare optimizers data tasks "
            "workloads store run conduct analysis report"
        ),
        "adabelief_lab.cli": (
            "adabelief adabelief.checkpoint adabelief.diagnostics common declare optimizers data "
            "workloads store run conduct analysis report export bench paper"
        ),
        "adabelief_lab.__main__": "cli common",
    }.items()
}  # fmt: skip
ORDER = list(ROOMS)


def allowed(room: str) -> set[str]:
    """The rooms that a room may import, by their full names."""
    return {
        name if name in ROOMS else f"adabelief_lab.{name}" for name in ROOMS[room]
    }  # fmt: skip


def files() -> dict[str, Path]:
    """Every module of both packages, by its dotted name."""
    found = {}
    for package, source in SOURCES.items():
        for path in sorted((source / package).rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


FILES = files()


def imported(module: str, path: Path) -> Iterator[str]:
    """Modules of ours that a module imports, at any depth of its code."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            while parts and ".".join(parts) not in FILES:
                parts.pop()  # what is left names a module, what was dropped an object in it
            if parts and ".".join(parts) != module:
                yield ".".join(parts)


def room_of(module: str) -> str:
    """The room that a module is in: the first two parts of its name."""
    return ".".join(module.split(".")[:2])


GRAPH = {module: set(imported(module, path)) for module, path in FILES.items()}


def test_every_module_is_in_a_room_and_no_room_is_empty() -> None:
    assert {room_of(module) for module in FILES} == set(ROOMS)


def test_a_room_may_import_only_rooms_below_it() -> None:
    wrong = [
        (room, other)
        for room in ROOMS
        for other in allowed(room)
        if ORDER.index(other) >= ORDER.index(room)
    ]
    assert not wrong


def test_the_optimizer_never_imports_the_laboratory() -> None:
    arrows = [
        (module, other)
        for module, others in GRAPH.items()
        for other in others
        if not module.startswith("adabelief_lab") and other.startswith("adabelief_lab")
    ]
    assert not arrows


@pytest.mark.parametrize("module", FILES)
def test_imports_point_downwards(module: str) -> None:
    room = room_of(module)
    others = {room_of(name) for name in GRAPH[module]} - {room}
    assert others <= allowed(room), f"{module} imports {sorted(others - allowed(room))}"


def test_no_module_imports_itself_in_a_circle() -> None:
    state: dict[str, int] = {}

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert state.get(module) != 1, " -> ".join([*path[path.index(module) :], module])
        if module in state:
            return
        state[module] = 1
        for other in sorted(GRAPH[module]):
            # A package's own __init__ gathers the names of the modules in it.
            if not module.startswith(f"{other}."):
                visit(other, (*path, module))
        state[module] = 2

    for module in FILES:
        visit(module, ())


def test_the_reference_knows_numpy_only() -> None:
    tree = ast.parse(FILES["adabelief.reference"].read_text("utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or ".").split(".")[0])
    assert roots == {"__future__", "collections", "dataclasses", "numpy"}


@pytest.mark.parametrize(
    ("module", "times"),
    [(reference, 2), (single_tensor, 1), (multi_tensor, 1), (differentiable, 1)],
)
def test_the_five_steps_of_algorithm_2_are_marked_in_order(module: object, times: int) -> None:
    text = Path(str(getattr(module, "__file__", ""))).read_text("utf-8")
    marks = re.findall(r"^ *# Alg\. 2 \((\d)\) (\w+)", text, flags=re.MULTILINE)
    five = ["gradient", "moment", "belief", "corrections", "update"]
    assert marks == [(str(k), word) for k, word in enumerate(five, start=1)] * times
    assert text.count("Alg. 2 (") == 5 * times


def test_public_names_are_sorted_complete_and_there() -> None:
    public = adabelief.__all__
    assert list(public) == sorted(public)
    tree = ast.parse(FILES["adabelief"].read_text("utf-8"))
    names = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname and alias.asname == alias.name
    }
    assert names == set(public)
    assert all(hasattr(adabelief, name) for name in public)
    for package, source in SOURCES.items():
        assert (source / package / "py.typed").exists()


def test_both_distributions_have_one_version() -> None:
    versions = [
        re.findall(r'^version = "(.+)"$', (folder / "pyproject.toml").read_text(), re.MULTILINE)
        for folder in (ROOT, ROOT / "lab")
    ]
    assert versions[0] == versions[1]
    assert f'"adabelief=={versions[0][0]}"' in (ROOT / "lab" / "pyproject.toml").read_text()


def test_importing_the_optimizer_imports_no_lab() -> None:
    heavy = ("adabelief_lab", "pydantic", "matplotlib", "typer", "rich", "pandas", "scipy")
    code = f"import sys, adabelief; print([m for m in sys.modules if m.startswith({heavy!r})])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
    assert result.stderr == ""
