"""How many worker processes read examples for one run. No number of a run depends on it."""

from __future__ import annotations

import os

from adabelief_lab.common.errors import LabError

VARIABLE = "ADABELIEF_NUM_WORKERS"


def set_num_workers(count: int) -> None:
    """Let runs of this process, and of those that it starts, have `count` worker processes each.

    What the user has set stays.
    """
    os.environ.setdefault(VARIABLE, str(count))


def num_workers() -> int:
    """Worker processes of one run: what the user set, else the engine, else one for each processor.

    Raises:
        LabError: the variable is no number of processes.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return os.cpu_count() or 1
    if not given.isdecimal():
        msg = f"{VARIABLE} must be a number of processes, 0 or more, got {given!r}"
        raise LabError(msg)
    return int(given)
