"""The Triton kernel's arithmetic, by Triton's interpreter: CPU tensors and their real addresses.

Triton reads TRITON_INTERPRET when it is imported, so what is in `interpreted` runs in processes of
its own.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from paths import ROOT

pytest.importorskip("triton")

HERE = ROOT / "tests" / "support" / "interpreted"
FILES = [file.name for file in sorted(HERE.glob("*.py")) if file.name != "arrays.py"]


def run(file: str, which: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", which]
    done = subprocess.run(
        [*command, str(HERE / file)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("file", FILES)
def test_the_interpreted_kernel(file: str) -> None:
    assert " passed" in run(file, "not slow")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("file", ["bits.py", "reference.py"])
def test_the_interpreted_kernel_more_widely(file: str) -> None:
    assert " passed" in run(file, "slow")
