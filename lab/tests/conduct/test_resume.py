"""Studies that are killed go on: no run lost, none done twice, the same bytes at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adabelief_lab.declare.study import Result
from lab_paths import TINY, WORKLOADS
from processes import group_members, kill, run, start, wait_until, workers

# Each start of the command imports torch in three processes: slow where others compute too.
pytestmark = pytest.mark.timeout(900)

STUDY = (f"{TINY}:workload", "--preset", "smoke", "--against", "adam", "--workers", "2")


def metrics(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in root.glob("runs/*/metrics.jsonl")}


def results(root: Path) -> dict[str, tuple[int, int]]:
    """Identity of each result file: written again, it would be another inode."""
    stats = {path.parent.name: path.stat() for path in root.glob("runs/*/result.json")}
    return {key: (stat.st_ino, stat.st_mtime_ns) for key, stat in stats.items()}


def rows(root: Path) -> int:
    return sum(data.count(b"\n") for data in metrics(root).values())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("uninterrupted")
    ended = run("compare", *STUDY, "--workers", "1", "--out", str(root))
    assert ended.returncode == 0, ended.stderr
    assert len(results(root)) == 8  # 2 optimizers x (2 trials + 2 seeds)
    return root


def test_sigkill_of_driver_and_worker_anywhere_changes_no_byte_and_repeats_no_run(
    uninterrupted: Path, tmp_path: Path
) -> None:
    compare = ("compare", *STUDY, "--out", str(tmp_path))
    kept: dict[str, tuple[int, int]] = {}
    for killed in range(3):
        seen = rows(tmp_path)
        driver = start(*compare, pause=0.05)
        wait_until(lambda seen=seen: rows(tmp_path) > seen + 3)  # type: ignore[misc]
        if killed == 1:
            victim = workers(driver.pid)[-1]
            seen = rows(tmp_path)
            kill(driver, victim)
            wait_until(lambda seen=seen: rows(tmp_path) > seen + 2)  # type: ignore[misc]
            assert driver.poll() is None, "the driver replaces a worker that dies"
        kill(driver)
        wait_until(lambda pid=driver.pid: not group_members(pid), 60)  # type: ignore[misc]
        assert kept.items() <= results(tmp_path).items(), "a finished run was done again"
        kept = results(tmp_path)
    ended = run(*compare)
    assert ended.returncode == 0, ended.stderr
    assert kept.items() <= results(tmp_path).items()
    assert metrics(tmp_path) == metrics(uninterrupted)
    ends = [Result.model_validate_json(p.read_bytes()) for p in tmp_path.glob("runs/*/result.json")]
    assert [end.status for end in ends] == ["ok"] * 8
    assert any(end.resumed for end in ends), "no run was killed in its middle: the test is void"
    assert not list(tmp_path.rglob("checkpoint.pt"))
    assert not list(tmp_path.rglob("*.tmp*"))


def test_ctrl_c_ends_everything_and_says_how_to_go_on(tmp_path: Path) -> None:
    driver = start("compare", *STUDY, "--out", str(tmp_path), pause=0.1)
    wait_until(lambda: rows(tmp_path) > 0)
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "go on with" in err
    assert f"--out {tmp_path}" in " ".join(err.split())
    assert "Traceback" not in err
    wait_until(lambda: not group_members(driver.pid), 30)  # its tracker of resources ends after it


def test_the_second_ctrl_c_ends_it_at_once_and_loses_nothing(
    uninterrupted: Path, tmp_path: Path
) -> None:
    compare = ("compare", *STUDY, "--out", str(tmp_path))
    driver = start(*compare, pause=0.1)
    wait_until(lambda: rows(tmp_path) > 0)
    assert driver.stderr is not None
    os.killpg(driver.pid, signal.SIGINT)
    first = driver.stderr.readline() + driver.stderr.readline()
    os.killpg(driver.pid, signal.SIGINT)
    _, rest = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Stopped." in first
    assert "Traceback" not in rest
    wait_until(lambda: not group_members(driver.pid), 60)
    ended = run(*compare)
    assert ended.returncode == 0, ended.stderr
    assert metrics(tmp_path) == metrics(uninterrupted)


@pytest.mark.skipif(shutil.which("cc") is None or sys.platform != "linux", reason="preloads C code")
def test_a_wall_clock_that_jumps_changes_nothing(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "jumps.so"
    source = WORKLOADS.parent / "clock" / "jumps.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    says = "import time; a = time.time(); time.sleep(1); print(abs(time.time() - a) > 80_000)"
    jumped = subprocess.run(
        [sys.executable, "-c", says], capture_output=True, text=True, check=True
    )
    assert jumped.stdout == "True\n", "the clock did not jump: the test is void"
    root = tmp_path / "study"
    ended = run("compare", *STUDY, "--time-limit", "300", "--out", str(root))
    assert ended.returncode == 0, ended.stderr
    assert metrics(root) == metrics(uninterrupted)
    ends = [Result.model_validate_json(p.read_bytes()) for p in root.glob("runs/*/result.json")]
    assert all(0 < end.seconds < 300 for end in ends)
    assert all(0 < end.optimizer_seconds < end.seconds for end in ends)


def test_a_study_that_is_finished_only_reports(uninterrupted: Path) -> None:
    before = results(uninterrupted)
    ended = run("compare", *STUDY, "--out", str(uninterrupted))
    assert ended.returncode == 0, ended.stderr
    assert results(uninterrupted) == before
    assert ended.stdout.strip().splitlines()[-1].endswith("report.html")


def test_more_seeds_keep_what_is_there(uninterrupted: Path) -> None:
    before = results(uninterrupted)
    ended = run("compare", *STUDY, "--seeds", "3", "--out", str(uninterrupted))
    assert ended.returncode == 0, ended.stderr
    after = results(uninterrupted)
    assert before.items() <= after.items()
    assert len(after) == 10


def test_a_full_disk_in_a_checkpoint_stops_with_a_message_and_loses_nothing(
    tmp_path: Path,
) -> None:
    # The kernel refuses to let any file grow beyond this: the weights do not fit any more.
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "sys.argv[0] = 'adabelief'; runpy.run_module('adabelief_lab', run_name='__main__')"
    )
    compare = ("compare", *STUDY, "--out", str(tmp_path))
    first = start(*compare, pause=0.05)
    wait_until(lambda: rows(tmp_path) > 4)
    kill(first)
    before = metrics(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", limited, *compare], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    message = " ".join(ended.stderr.split())
    assert "checkpoint.pt could not be written" in message
    assert "start the same command again" in message
    assert "Traceback" not in message
    for key, data in before.items():
        spec = tmp_path / "runs" / key
        assert (spec / "checkpoint.pt").exists() or (spec / "result.json").exists() or data == b""
    assert run(*compare).returncode == 0
