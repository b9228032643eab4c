"""Several processes a run, by torchrun's agent: the same numbers as one, and as hard to kill."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lab_paths import TINY, TOGETHER
from processes import group_members, kill, run, start, wait_until
from study_files import ends, members, n_rows, rows, written

TWO = ("--preset", "smoke", "--against", "adam", "--workers", "1", "--procs-per-run", "2")

pytestmark = pytest.mark.timeout(900)


def compare(name: str, root: Path, *options: str) -> None:
    ended = run("compare", f"{TOGETHER}:{name}", *TWO, *options, "--out", str(root))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_together_they_see_what_one_process_sees(tmp_path: Path, parallel: str) -> None:
    compare("exact", tmp_path / "one", "--procs-per-run", "1")
    compare("exact", tmp_path / "two", "--parallel", parallel)
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(one) == 4
    assert one.keys() == two.keys()
    for name, expected in one.items():
        for row, other in zip(expected, two[name], strict=True):
            # Sums of 16 or 300 float64 numbers in another order, twelve steps long.
            assert row == pytest.approx(other, rel=1e-12), name
    assert [end.status for end in ends(tmp_path / "two")] == ["ok"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_sigkill_of_the_driver_and_of_one_process_changes_no_byte(
    tmp_path: Path, parallel: str
) -> None:
    """Dropout draws other numbers in each process, batch statistics are each one's own."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    compare("noisy", whole, "--parallel", parallel)
    command = (
        "compare",
        f"{TOGETHER}:noisy",
        *TWO,
        "--parallel",
        parallel,
        "--out",
        str(cut),
    )
    for victim in ("member", "driver"):
        seen = n_rows(cut)
        driver = start(*command, pause=0.3)
        wait_until(lambda seen=seen: n_rows(cut) > seen + 3)  # type: ignore[misc]
        if victim == "member":
            pair = members(driver.pid)
            assert len(pair) == 2
            seen = n_rows(cut)
            kill(driver, pair[0])
            wait_until(lambda seen=seen: n_rows(cut) > seen + 2)  # type: ignore[misc]
            assert driver.poll() is None, "the run goes on in new processes"
        kill(driver)
        wait_until(lambda pid=driver.pid: not group_members(pid), 60)  # type: ignore[misc]
    ended = run(*command)
    assert ended.returncode == 0, ended.stderr
    assert "damaged" not in ended.stderr
    assert not list(cut.rglob("aside-*"))
    assert written(cut) == written(whole)
    assert [end.status for end in ends(cut)] == ["ok"] * 4
    assert any(end.resumed for end in ends(cut))
    assert not list(cut.rglob("checkpoint*.pt"))
    assert not list(cut.rglob("attempts.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("raises", "failed", "RuntimeError: only here"),
        ("killed", "oom", "its process was killed 3 times after step 4"),
    ],
)
def test_one_process_that_fails_ends_the_run(
    tmp_path: Path, fault: str, status: str, reason: str
) -> None:
    """The other process waits in a collective, for ever if nobody ended it."""
    compare(fault, tmp_path)
    found = ends(tmp_path)
    assert [end.status for end in found] == [status] * 2
    assert all(reason in end.reason for end in found)
    assert not list(tmp_path.rglob("attempts.json"))


def test_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    driver = start(
        "compare", f"{TOGETHER}:exact", *TWO, "--out", str(tmp_path), pause=0.2
    )  # fmt: skip
    wait_until(lambda: n_rows(tmp_path) > 0)
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Traceback" not in err
    wait_until(lambda: not group_members(driver.pid), 60)


@pytest.mark.parametrize(
    ("workload", "processes", "message"),
    [
        (f"{TOGETHER}:exact", "1", "--parallel ddp needs --procs-per-run of 2 or more, got 1"),
        (f"{TINY}:workload", "2", "Tiny has no method parallelize"),
        (f"{TOGETHER}:exact", "3", "batch_size must be a multiple of the 3 processes"),
    ],
)
def test_what_cannot_be_spread_is_refused_before_anything_runs(
    tmp_path: Path, workload: str, processes: str, message: str
) -> None:
    out = tmp_path / "study"
    options = ("--procs-per-run", processes, "--parallel", "ddp", "--out", str(out))
    ended = run("compare", workload, *TWO, *options)
    assert ended.returncode == 1
    assert message in " ".join(ended.stderr.split())
    assert not out.exists()
