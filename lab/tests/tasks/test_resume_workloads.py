"""Models of Lightning and of transformers that are killed go on: the same bytes at the end."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from adabelief_lab.declare.study import Result
from paths import EXAMPLES
from processes import kill, run, start, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def metrics(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in root.glob("runs/*/metrics.jsonl")}


def rows(root: Path) -> int:
    return sum(data.count(b"\n") for data in metrics(root).values())


@pytest.mark.parametrize(
    ("package", "name"),
    [("lightning", "lightning_workload"), ("transformers", "hugging_face_workload")],
)
def test_sigkill_changes_no_byte(package: str, name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")  # of the extra "frameworks"
    study = ("compare", f"{EXAMPLES / name}.py:workload", "--preset", "smoke", "--against", "adam")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    ended = run(*study, "--workers", "1", "--out", str(whole))
    assert ended.returncode == 0, ended.stderr
    for _ in range(2):
        seen = rows(killed)
        driver = start(*study, "--workers", "1", "--out", str(killed))
        wait_until(lambda seen=seen: rows(killed) > seen + 3)  # type: ignore[misc]
        kill(driver)
    ended = run(*study, "--workers", "1", "--out", str(killed))
    assert ended.returncode == 0, ended.stderr
    assert metrics(killed) == metrics(whole)
    results = [
        Result.model_validate_json(p.read_bytes()) for p in killed.glob("runs/*/result.json")
    ]
    assert [each.status for each in results] == ["ok"] * 8, [each.reason for each in results]
    assert any(each.resumed for each in results), "none was killed in its middle: the test is void"
