"""Runs of ImageNet's path by real processes: killed, resumed, and by two processes together."""

from __future__ import annotations

from pathlib import Path

import pytest

from adabelief_lab.common import num_workers
from adabelief_lab.data import imagenet
from lab_paths import PHOTOGRAPHS
from pictures import write
from processes import group_members, kill, run, start, wait_until
from study_files import ends, members, n_rows, rows, written

OPTIONS = ("--preset", "smoke", "--against", "adam", "--workers", "1")

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(imagenet.VARIABLE, str(write(tmp_path / "images")))
    monkeypatch.setenv(num_workers.VARIABLE, "2")


def compare(workload: str, root: Path, *options: str) -> None:
    ended = run("compare", workload, *OPTIONS, *options, "--out", str(root))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("processes", [1, 2])
def test_sigkill_of_the_driver_and_of_one_process_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """Batch statistics, dropout, crops; and other readers each time."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    workload = f"{PHOTOGRAPHS}:noisy"
    together = ("--procs-per-run", "2", "--parallel", "ddp") if processes == 2 else ()
    compare(workload, whole, *together)
    command = ("compare", workload, *OPTIONS, *together, "--out", str(cut))
    for count in ("0", "1"):
        monkeypatch.setenv(num_workers.VARIABLE, count)
        seen = n_rows(cut)
        driver = start(*command, pause=0.3)
        wait_until(lambda seen=seen: n_rows(cut) > seen + 3)  # type: ignore[misc]
        if count == "1" and processes == 2:
            pair = members(driver.pid)
            seen = n_rows(cut)
            kill(driver, pair[0])
            wait_until(lambda seen=seen: n_rows(cut) > seen + 2)  # type: ignore[misc]
        kill(driver)
        wait_until(lambda pid=driver.pid: not group_members(pid), 60)  # type: ignore[misc]
    compare(workload, cut, *together)
    assert written(cut) == written(whole)
    assert [end.status for end in ends(cut)] == ["ok"] * 4
    assert any(end.resumed for end in ends(cut)), "no run was killed in its middle: void"


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_together_they_see_what_one_process_sees(tmp_path: Path, parallel: str) -> None:
    compare(f"{PHOTOGRAPHS}:exact", tmp_path / "one")
    two = ("--procs-per-run", "2", "--parallel", parallel)
    compare(f"{PHOTOGRAPHS}:exact", tmp_path / "two", *two)
    one, other = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(one) == 4
    assert one.keys() == other.keys()
    for name, expected in one.items():
        for row, found in zip(expected, other[name], strict=True):
            # Sums of 8 float64 numbers in another order, twelve steps long.
            assert row == pytest.approx(found, rel=1e-11), name


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_the_network_is_trained_by_two_processes(tmp_path: Path, parallel: str) -> None:
    few = ("--trials", "1", "--seeds", "1", "--procs-per-run", "2", "--parallel", parallel)
    compare("imagenet-resnet18", tmp_path / "study", *few)
    found = ends(tmp_path / "study")
    assert [(end.status, end.step) for end in found] == [("ok", 6)] * 4
