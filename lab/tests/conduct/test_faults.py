"""Runs that hang, run out of memory or are killed end as what they are, and the study goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import code_of, declare
from adabelief_lab.declare.study import Result
from adabelief_lab.optimizers import resolve
from adabelief_lab.run import crash_counter
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload
from lab_paths import FAULTY
from processes import run, start, wait_until

pytestmark = pytest.mark.timeout(900)


def ends(root: Path) -> dict[str, list[Result]]:
    """Results by optimizer."""
    found: dict[str, list[Result]] = {}
    for path in root.glob("runs/*/result.json"):
        spec = json.loads((path.parent / "spec.json").read_bytes())
        found.setdefault(spec["optimizer"], []).append(
            Result.model_validate_json(path.read_bytes())
        )
    return found


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("hangs", "timeout", "not finished after 8 seconds; the last evaluation was at step 3"),
        ("killed", "oom", "its process was killed 3 times after step 3"),
        ("python", "oom", "MemoryError"),
        ("allocator", "oom", "can't allocate memory"),
    ],
)
def test_a_faulty_run_ends_as_what_it_is_and_the_others_are_done(
    tmp_path: Path, fault: str, status: str, reason: str
) -> None:
    limit = ("--time-limit", "8") if fault == "hangs" else ()
    ended = run(
        "compare", f"{FAULTY}:{fault}", "--preset", "smoke", "--against", "sgd",
        "--workers", "2", *limit, "--out", str(tmp_path),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = ends(tmp_path)
    assert Counter(result.status for result in found["adabelief"]) == {"ok": 4}
    assert Counter(result.status for result in found["sgd"]) == {status: 2}
    assert all(reason in result.reason for result in found["sgd"])
    assert status in (tmp_path / "report.html").read_text()
    assert "No trial of SGD (momentum) ended well" in (tmp_path / "report.html").read_text()
    assert not list(tmp_path.rglob("attempts.json"))


@pytest.mark.slow
def test_a_driver_that_is_stopped_again_and_again_is_no_fault_of_the_run(tmp_path: Path) -> None:
    """Four drivers are killed at the same step: the run is not given up for that."""
    arguments = (
        "compare", f"{FAULTY}:hangs", "--preset", "smoke", "--against", "sgd",
        "--workers", "1", "--out", str(tmp_path),
    )  # fmt: skip
    for _ in range(crash_counter.MAX_ATTEMPTS + 1):
        driver = start(*arguments)
        wait_until(lambda: len(ends(tmp_path).get("adabelief", [])) >= 2, 120)
        wait_until(lambda: bool(list(tmp_path.rglob("attempts.json"))), 60)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate(timeout=60)
    assert "sgd" not in ends(tmp_path)
    (attempt,) = tmp_path.rglob("attempts.json")
    assert json.loads(attempt.read_bytes())["count"] == 1


def test_attempts_count_starts_from_one_step_for_one_driver(tmp_path: Path) -> None:
    assert [crash_counter.begin(tmp_path, 3, "a") for _ in range(3)] == [1, 2, 3]
    assert crash_counter.begin(tmp_path, 6, "a") == 1, "it has come further"
    assert crash_counter.begin(tmp_path, 6, "a") == 2
    assert crash_counter.begin(tmp_path, 6, "b") == 1, "another driver"
    assert crash_counter.begin(tmp_path, 6, "b") == 2
    path = tmp_path / "attempts.json"
    path.write_text("{")
    assert crash_counter.begin(tmp_path, 6, "b") == 1, "a torn file"
    crash_counter.end(tmp_path)
    assert not path.exists()


def test_who_is_ended_by_others_takes_back_one_attempt_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "attempts.json"
    for made, left in ((1, None), (3, 2)):
        leaving = (
            "import sys; from pathlib import Path; from adabelief_lab.run import crash_counter; "
            f"[crash_counter.begin(Path(sys.argv[1]), 3, 'a') for _ in range({made})]; "
            "crash_counter.exit_without_counting()"
        )
        ended = subprocess.run([sys.executable, "-c", leaving, str(tmp_path)], check=False)
        assert ended.returncode == 1
        assert (json.loads(path.read_bytes())["count"] if path.exists() else None) == left


def test_two_versions_of_the_code_are_refused_with_the_files_that_differ(tmp_path: Path) -> None:
    loaded = load_workload("fashion-mnist")
    study = declare(loaded, "smoke", resolve(["adabelief", "sgd"]))
    store, code = Store(tmp_path), code_of(study, loaded.workload)
    store.open(study, code)
    store.open(study, code)
    assert json.loads((tmp_path / "code.json").read_bytes()) == dict(sorted(code.items()))
    other = {**code, "adabelief_lab/run/train.py": "0" * 16, "adabelief_lab/old.py": "1" * 16}
    del other["adabelief/optimizer.py"]
    (tmp_path / "code.json").write_text(json.dumps(other))
    with pytest.raises(LabError) as caught:
        store.open(study, code)
    said = str(caught.value)
    assert "differ:\n  adabelief_lab/run/train.py: changed\nName another folder" in said
    assert "--any-code" in said
    assert json.loads((tmp_path / "code.json").read_bytes()) == other, "nothing was changed"
    store.open(study, code, any_code=True)
    store.open(study, code)


def test_a_folder_whose_files_all_have_other_names_is_of_another_version(tmp_path: Path) -> None:
    loaded = load_workload("fashion-mnist")
    study = declare(loaded, "smoke", resolve(["adabelief"]))
    store, code = Store(tmp_path), code_of(study, loaded.workload)
    store.open(study, {f"lab/file{i:02}.py": "0" * 16 for i in range(12)})
    with pytest.raises(LabError, match=r"lab/file09\.py: gone\n  and 2 more\nName another"):
        store.open(study, code)


def test_a_study_that_gains_an_optimizer_adds_its_files(tmp_path: Path) -> None:
    loaded = load_workload("fashion-mnist")
    few = declare(loaded, "smoke", resolve(["adabelief", "sgd"]))
    more = declare(loaded, "smoke", resolve(["adabelief", "sgd", "lookahead+eadam"]))
    store, before = Store(tmp_path), code_of(few, loaded.workload)
    store.open(few, before)
    store.open(more, code_of(more, loaded.workload))
    implementations = "adabelief_lab/optimizers/implementations"
    assert store.code().keys() - before.keys() == {
        f"{implementations}/{name}.py"
        for name in ("declared_options", "eadam", "lookahead", "per_parameter", "wrapper")
    }


def test_a_users_file_reaches_what_it_imports() -> None:
    loaded = load_workload(f"{FAULTY}:killed")
    study = declare(loaded, "smoke", resolve(["adabelief"]))
    code = code_of(study, loaded.workload)
    assert "adabelief_lab/declare/workload.py" in code
    assert not any(name.startswith("adabelief_lab/workloads/") for name in code)


def test_a_folder_that_may_only_be_read_is_told_and_left(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/adabelief-out")  # root may write anywhere else
    else:
        target = tmp_path / "out"
        tmp_path.chmod(0o500)
    ended = run("compare", f"{FAULTY}:killed", "--preset", "smoke", "--out", str(target))
    assert ended.returncode == 1
    assert "could not be written" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
