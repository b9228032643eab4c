"""What commands print where the reader has left, and numbers with their nouns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab_paths import TINY
from processes import run


@pytest.mark.parametrize("command", [("list",), ("list", "--json"), ("data",), ("--help",)])
def test_a_reader_that_leaves_is_no_error(command: tuple[str, ...]) -> None:
    """As in `adabelief list | head`: the pipe's other end is closed before a word is written."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "adabelief_lab", *command],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_study_whose_reader_leaves_is_finished(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = tmp_path / "study"
    size = ("--preset", "smoke", "--against", "sgd", "--workers", "1", "--out", str(out))
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "adabelief_lab", "compare", f"{TINY}:workload", *size],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=240,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (out / "report.html").exists()


def test_one_of_a_kind_is_in_the_singular(tmp_path: Path) -> None:
    size = ("--preset", "smoke", "--against", "sgd", "--workers", "1", "--seeds", "1")
    ended = run("compare", f"{TINY}:workload", *size, "--out", str(tmp_path / "study"))
    assert ended.returncode == 0, ended.stderr
    assert "; 1 worker;" in " ".join(ended.stdout.split())
    assert "1 seed for each" in " ".join(ended.stdout.split())
    assert "1 workers" not in ended.stdout
    assert "1 seeds" not in ended.stdout
