"""benchmarks/cuda.py, the script for people with a GPU, as far as it runs without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from paths import ROOT

pytest.importorskip("triton")

SCRIPT = ROOT / "benchmarks" / "cuda.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def interpreted(folder: Path, *options: str) -> dict[str, Any]:
    file = folder / "cuda.json"
    done = run("--interpret", "--output", str(file), *options)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    record: dict[str, Any] = json.loads(file.read_text())
    return record


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_fails(tmp_path: Path) -> None:
    done = run("--output", str(tmp_path / "cuda.json"))
    assert done.returncode == 1
    assert "no CUDA device" in done.stdout
    assert not (tmp_path / "cuda.json").exists()


def test_some_of_its_checks_pass_in_the_interpreter(tmp_path: Path) -> None:
    record = interpreted(tmp_path, "--only", "verify", "--checks", "scaler", "checkpoint", "graph")
    assert {each["check"]: each["outcome"] for each in record["checks"]} == {
        "graph": "needs a GPU", "scaler": "passed", "checkpoint": "passed",
    }  # fmt: skip
    assert record["machine"]["torch"] == torch.__version__


def test_its_times_can_be_taken(tmp_path: Path) -> None:
    record = interpreted(tmp_path, "--only", "time", "--models", "2x300", "--rounds", "2")
    (found,) = record["times"]
    assert {"Adam fused", "foreach", "fused", "fused, 8-bit state"} <= set(found["milliseconds"])
    assert found["ratios"]["Adam fused"] == 1
    assert all("graph" in name or "compiled" in name for name in found["errors"])


def test_a_check_that_fails_makes_it_fail(tmp_path: Path) -> None:
    """The kernel is given a wrong step size before the script runs it."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['cuda.py', '--interpret', '--only', 'verify', '--checks', 'layouts', "
        f"'--output', {str(tmp_path / 'cuda.json')!r}]\n"
        "import os\n"
        "os.environ['TRITON_INTERPRET'] = '1'\n"
        "from adabelief.step import fused_cuda\n"
        "right = fused_cuda.scalars\n"
        "def wrong(*args):\n"
        "    found = right(*args)\n"
        "    return [*found[:9], found[9] * 1.001, *found[10:]]\n"
        "fused_cuda.scalars = wrong\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED       layouts" in done.stdout
    assert "SOME CHECKS FAILED" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_of_its_checks_pass_in_the_interpreter(tmp_path: Path) -> None:
    outcomes = [each["outcome"] for each in interpreted(tmp_path)["checks"]]
    assert sorted(set(outcomes)) == ["needs a GPU", "passed"]
    assert outcomes.count("needs a GPU") == 2
