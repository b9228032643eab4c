"""Which code makes a study's numbers: runs of one folder must not come from two versions of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import adabelief

# They read numbers, and make none.
READERS = (
    "bench/",
    "cli/",
    "lab/analysis/",
    "lab/data/catalogue.py",
    "lab/export/",
    "lab/paper/",
    "lab/report/",
)
SUFFIXES = (".py", ".c", ".h", ".inc")


@lru_cache(maxsize=1)
def file_hashes() -> Mapping[str, str]:
    """Sixteen hex digits of the sha256 of every file of this package that may change a number."""
    root = Path(adabelief.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in SUFFIXES)
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for name, path in names.items()
        if not name.startswith(READERS)
    }


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit of this checkout, with "-dirty" behind it where files are changed.

    "" where the package is installed and not a checkout, or there is no git.
    """
    file = Path(adabelief.__file__)
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
    """The files that are not the same, each with what happened to it."""
    found = []
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            what = "changed" if name in before and name in now else "new"
            found.append(f"{name}: {what if name in now else 'gone'}")
    return found
