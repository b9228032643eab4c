"""How many processes read examples for one run; numbers do not depend on it."""

from __future__ import annotations

import os

from adabelief_lab.common.errors import LabError

VARIABLE = "ADABELIEF_READERS"


def set_num_workers(count: int) -> None:
    """Let runs of this process, and of those that it starts, have `count` readers each.

    What the user has set stays.
    """
    os.environ.setdefault(VARIABLE, str(count))


def num_workers() -> int:
    """Readers of one run, its processes together: as the user says, its engine, or the machine.

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
