"""The command line as a real process, for the tests that kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def start(*arguments: str, pause: float = 0.0, **popen: object) -> subprocess.Popen[str]:
    """Start `adabelief ARGUMENTS` in a process group of its own; `pause` slows tiny's steps."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # We are a shell's background job, which ignores Ctrl-C, as its children then would.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "adabelief_lab", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "ADABELIEF_TEST_PAUSE": str(pause), "COLUMNS": "100"},
        **popen,  # type: ignore[call-overload]
    )


def run(*arguments: str, seconds: float = 600, **popen: object) -> subprocess.CompletedProcess[str]:
    """Run `adabelief ARGUMENTS` to its end."""
    process = start(*arguments, **popen)  # type: ignore[arg-type]
    out, err = process.communicate(timeout=seconds)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def wait_until(true: Callable[[], bool], seconds: float = 90.0) -> None:
    """Poll until `true()`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def group_members(group: int) -> list[int]:
    """Processes of a process group that still run, zombies not counted."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


def workers(driver: int) -> list[int]:
    """The driver's worker processes: those spawned by multiprocessing that run jobs."""
    found = []
    for pid in group_members(driver):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in command:
            found.append(pid)
    return found


def kill(process: subprocess.Popen[str], pid: int | None = None) -> None:
    """SIGKILL the process, or the one of its group that is named."""
    os.kill(pid or process.pid, signal.SIGKILL)
    if pid is None:
        process.communicate(timeout=60)
