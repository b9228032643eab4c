"""The pages of docs/ say what the records say, and nothing else."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adabelief_lab.bench.harness import Benchmark
from paths import ROOT

NAMES = ("belief", "gans", "images", "loop", "performance", "release", "scaling", "words")


def benchmark(name: str) -> Benchmark:
    module = "small_state.__main__" if name == "small_state" else name
    found: Benchmark = importlib.import_module(f"benchmarks.{module}").BENCHMARK
    return found


@pytest.mark.parametrize("name", [*NAMES, "small_state"])
def test_the_page_is_written_from_the_record(name: str) -> None:
    found = benchmark(name)
    page = found.page.read_text()
    assert found.written(page, found.read(found.record)) == page


def test_every_record_has_its_benchmark() -> None:
    records = {path.stem for path in Path(ROOT / "results" / "benchmarks").glob("*.json")}
    assert records == {*NAMES, "small_state"}


SMALLEST = {
    "belief": ("--rounds", "1", "--models", "resnet34"),
    "gans": ("--rounds", "1", "--cases", "wgan,quick"),
    "images": ("--rounds", "1", "--networks", "vgg11", "--sizes", "reduced"),
    "loop": ("--rounds", "1", "--scratch", "."),
    "release": ("--rounds", "1", "--repeats", "1", "--models", "convolutions"),
    "scaling": ("--runs", "10", "--real", "0", "--scratch", "."),
    "small_state": ("--preset", "smoke", "--folder", "runs"),
    "words": ("--rounds", "1", "--layers", "1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_the_program_runs_and_its_record_makes_tables(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--record", str(file), *SMALLEST[name]]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = benchmark(name)
    record = found.read(file)
    assert {"torch", "processor", "threads"} <= record["machine"].keys()
    assert all(write(record) in ended.stdout for write in found.sections.values())
