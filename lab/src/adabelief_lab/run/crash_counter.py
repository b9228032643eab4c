"""Runs that end their own process: counted, so that a study ends too.

Memory that runs out kills a process without a word, and the run would be tried for ever. An attempt
is a start from the same step for the same driver; whoever ends a worker of a pool on purpose
retracts its attempt first, and a new driver counts from the beginning.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

from adabelief_lab.common.atomic_files import replace

MAX_ATTEMPTS = 3

# The attempt that this process is at, for `leave`.
_current: list[Path] = []


def begin(folder: Path, step: int, driver: str) -> int:
    """Note that the run in `folder` is trained from `step` on; return which attempt this is."""
    path = folder / "attempts.json"
    now = {"driver": driver, "step": step}
    try:
        before = json.loads(path.read_bytes())
        count = int(before.pop("count")) + 1
        if before != now:
            count = 1
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        count = 1
    replace(path, json.dumps({**now, "count": count}).encode())
    _current[:] = [path]
    return count


def end(folder: Path) -> None:
    """The run ended by itself."""
    _current.clear()
    (folder / "attempts.json").unlink(missing_ok=True)


def exit_without_counting() -> NoReturn:
    """End this process because somebody else wants it to: that is no attempt of the run.

    Those before it stay counted: else two runs that kill their processes side by side would
    forgive each other for ever.
    """
    for path in _current:
        _retract(path)
    os._exit(1)


def _retract(path: Path) -> None:
    """One attempt less."""
    try:
        noted = json.loads(path.read_bytes())
        noted["count"] = int(noted["count"]) - 1
    except (OSError, ValueError, KeyError, TypeError):
        return
    if noted["count"] > 0:
        replace(path, json.dumps(noted).encode())
    else:
        path.unlink(missing_ok=True)
