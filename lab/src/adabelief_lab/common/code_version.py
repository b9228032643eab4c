"""Which code makes a study's numbers: runs of one folder must not come from two versions of it."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

# The packages whose files are hashed. Versions of others are in the environment of a result.
PACKAGES: dict[str, Path] = {
    name: Path(spec.origin).parent
    for name in ("adabelief", "adabelief_lab")
    if (spec := find_spec(name)) is not None and spec.origin is not None
}
# The C sources of the CPU kernel: a file that no Python file imports.
KERNELS = "adabelief.kernels"
C_SOURCES = (".c", ".h", ".inc")
_FILE_NAME = re.compile(r"[\w-]+(\.\w+)+")


def file_hashes(*roots: str | Path) -> dict[str, str]:
    """Sixteen hex digits of the sha256 of every file of ours that the roots reach by imports.

    Imports within functions count, those for type checkers do not. A package's `__init__` passes
    names on: what imports a name from it reaches the module that has the name. Files beside a
    module that it names (templates, tables, data) count as imported.

    Args:
        roots: "package.module", "package.module:name", or a Python file of a user, which is not
            hashed itself. Modules of other packages reach nothing.

    Returns:
        Hashes by name, such as "adabelief/step/dispatch.py".
    """
    reached: dict[str, Path] = {}
    waiting: list[tuple[str, str]] = []
    for root in roots:
        if isinstance(root, Path):
            waiting += _imports(root, "")
        else:
            module, _, name = root.partition(":")
            waiting.append((module, name))
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        module, path, passed_on = _resolve(*wanted)
        if passed_on:
            waiting += passed_on
        elif path is not None and module not in reached:
            reached[module] = path
            waiting += _imports(path, module)
    files = set(reached.values()) | {each for path in reached.values() for each in _named(path)}
    if any(module.startswith(KERNELS) for module in reached):
        sources = PACKAGES["adabelief"].joinpath("kernels").rglob("*")
        files |= {path for path in sources if path.suffix in C_SOURCES}
    return {
        f"{package}/{path.relative_to(folder).as_posix()}": _hash(path)
        for package, folder in PACKAGES.items()
        for path in sorted(files)
        if path.is_relative_to(folder)
    }


def _file(module: str) -> Path | None:
    """The file of a module of ours, without importing it."""
    package, *parts = module.split(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*parts)
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def _resolve(module: str, name: str) -> tuple[str, Path | None, list[tuple[str, str]]]:
    """The module that has `name`, its file, and where an `__init__` has the name from instead."""
    if name and (path := _file(f"{module}.{name}")):
        return f"{module}.{name}", path, []
    path = _file(module)
    if path is None or path.name != "__init__.py" or not name:
        return module, path, []
    return (
        module,
        path,
        [(source, own) for source, own, bound in _bindings(path, module) if bound == name],
    )


def _imports(path: Path, module: str) -> list[tuple[str, str]]:
    return [(source, own) for source, own, _ in _bindings(path, module)]


@lru_cache(maxsize=1024)
def _bindings(path: Path, module: str) -> list[tuple[str, str, str]]:
    """Every import in a file: the module, the name within it or "", and what it is called here."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in _nodes(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            base = above[: len(above) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                own = "" if alias.name == "*" else alias.name
                found.append((source, own, alias.asname or alias.name))
    return found


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, but for those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _nodes(other)
        else:
            yield child
            yield from _nodes(child)


@lru_cache(maxsize=1024)
def _named(path: Path) -> tuple[Path, ...]:
    """Files in a module's folder whose names stand in the module."""
    texts = (
        node.value
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    names = {text for text in texts if _FILE_NAME.fullmatch(text) and not text.endswith(".py")}
    return tuple(path.parent / name for name in names if (path.parent / name).is_file())


@lru_cache(maxsize=1024)
def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit of this checkout, with "-dirty" behind it where files are changed.

    "" where the package is installed and not a checkout, or there is no git.
    """
    file = PACKAGES["adabelief"] / "__init__.py"
    # Tracked: a virtual environment may lie in somebody else's repository.
    found = _git(file.parent, "ls-files", "--error-unmatch", file.name)
    return found and _git(file.parent, "describe", "--always", "--dirty", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The files that changed, each with what happened to it.

    A file that is on one side only is no difference: another optimizer reaches it, or a file that
    changed did. Where no file is on both sides, all are gone: they are elsewhere now.
    """
    both = before.keys() & now.keys()
    if before and not both:
        return [f"{name}: gone" for name in sorted(before)]
    return [f"{name}: changed" for name in sorted(both) if before[name] != now[name]]
