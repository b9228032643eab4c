"""The shape of the code base: imports point downwards, files are small, names are public."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import adabelief
from adabelief import reference
from adabelief.step import differentiable, multi_tensor, single_tensor

SOURCE = Path(adabelief.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Path below the package: "update/loop.py"."""
    return path.relative_to(SOURCE).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports, at any depth, as "lab.study"."""
    package = ["adabelief", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for module in found:
            if module.split(".")[0] == "adabelief":
                yield module.removeprefix("adabelief").removeprefix(".")


def is_cli(path: Path) -> bool:
    return name_of(path).startswith(("cli/", "__main__.py"))


def layer(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


# For the optimizer's core: what each may import of ours, by first name.
ALLOWED: dict[str, set[str]] = {
    "reference.py": set(),
    "hyperparameters.py": {"feasible"},
    "coefficients.py": set(),
    "schedules.py": set(),
    "update/projection.py": set(),
    "update/loop.py": {"coefficients", "update"},
    "update/foreach.py": {"coefficients", "update"},
    "update/functional.py": {"coefficients", "update"},
    "update/lazy.py": {"coefficients", "update"},
    "rounding/random_bits.py": {"rounding"},
    "rounding/bfloat16.py": set(),
    "rounding/e5m3.py": {"rounding"},
    "kernels/cpu.py": {"kernels"},
    "kernels/device_rows.py": {"rounding"},
    "kernels/multi_tensor.py": {"coefficients", "kernels", "rounding", "update"},
    "update/storage.py": {"coefficients", "rounding", "update"},
    "update/fused.py": {"coefficients", "kernels", "update"},
    "state.py": {"rounding", "sharded"},
    "sharded.py": {"feasible", "update"},
    "dispatch.py": {
        "coefficients",
        "feasible",
        "kernels",
        "rounding",
        "sharded",
        "state",
        "update",
    },
    "fast.py": {"coefficients", "dispatch", "feasible", "kernels", "state", "update"},
    "loading.py": {"hyperparameters", "state"},
    "stepping.py": {"dispatch", "fast", "optimizer"},
    "released_gradient.py": set(),
    "release.py": {"optimizer", "released_gradient", "stepping"},
    "optimizer.py": {
        "checkpoint",
        "dispatch",
        "feasible",
        "hyperparameters",
        "loading",
        "state",
        "stepping",
    },
}


@pytest.mark.parametrize("file", ALLOWED)
def test_the_core_imports_only_what_is_below_it(file: str) -> None:
    ours = {layer(module) for module in imports(SOURCE / file)} - {""}
    assert ours <= ALLOWED[file]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    name, ours = name_of(path), {layer(module) for module in imports(path)}
    in_lab, in_cli = name.startswith("lab/"), is_cli(path)
    if not in_cli:
        assert not ours & {"cli", "__main__"}
    if not (in_lab or in_cli):
        assert "lab" not in ours
    if name.startswith("update/"):
        assert not ours & {"optimizer", "hyperparameters", "state"}
    assert "tests" not in ours


def test_the_reference_knows_numpy_only() -> None:
    tree = ast.parse((SOURCE / "reference.py").read_text("utf-8"))
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
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    imported = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname and alias.asname == alias.name
    }
    assert imported == set(public)
    assert all(hasattr(adabelief, name) for name in public)
    assert (SOURCE / "py.typed").exists()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_small_and_finished(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    names = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME
    ]
    if not is_cli(path):
        calls = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ]
        assert not calls
    assert "exit" not in names or is_cli(path)


def test_importing_the_optimizer_imports_no_lab() -> None:
    heavy = (
        "adabelief_lab",
        "adabelief_lab.cli",
        "pydantic",
        "matplotlib",
        "typer",
        "rich",
        "pandas",
    )
    code = f"import sys, adabelief; print([m for m in sys.modules if m.startswith({heavy!r})])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
    assert result.stderr == ""
