"""The C kernel under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paths import ROOT

LISTS = 150

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc's sanitizers"),
]


def built(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """A copy of the package with a sanitized kernel, whose sources may be broken on purpose.

    Args:
        folder: where to; what is in the working tree is not touched.
        changes: file in csrc, text, and what to put in its place.
    """
    nothing = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", ignore=nothing)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name, text, instead in changes:
        path = folder / "src" / "adabelief" / "kernels" / "csrc" / name
        source = path.read_text()
        assert source.count(text) == 1, f"{text!r} is {source.count(text)} times in {name}"
        path.write_text(source.replace(text, instead))
    flags = {"ADABELIEF_SANITIZE": "1", "ADABELIEF_REQUIRE_KERNEL": "1", "CC": "gcc"}
    made = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, **flags},
        timeout=500,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def library(name: str) -> str:
    asked = ["gcc", f"-print-file-name={name}"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found).is_absolute(), f"gcc has no {name}"
    return found


def drive(folder: Path, lists: int) -> subprocess.CompletedProcess[str]:
    """Run sanitized.py on that copy."""
    environment = {
        **os.environ,
        # libstdc++ as well: who throws first may be a library that brings its own.
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so.6')}",
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",  # CPython does not free all at its end
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{ROOT / 'tests' / 'support'}",
        "PYTHONMALLOC": "malloc",  # so that every object's end is watched
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "sanitized.py"), str(folder), str(lists)],
        capture_output=True, text=True, check=False, env=environment, timeout=1400, cwd=folder,
    )  # fmt: skip


def test_nothing_is_reported(tmp_path: Path) -> None:
    ended = drive(built(tmp_path), LISTS)
    assert ended.returncode == 0, ended.stderr[-6000:]
    assert "nothing to report" in ended.stdout
    assert "Sanitizer" not in ended.stderr
    assert "runtime error" not in ended.stderr


@pytest.mark.parametrize(
    ("file", "text", "instead", "report"),
    [
        (
            "formats.inc",
            "for (int64_t i = 0; i < n; i++) x[i] = nearest_bfloat16(from[i]);",
            "for (int64_t i = 0; i <= n; i++) x[i] = nearest_bfloat16(from[i]);",
            "AddressSanitizer",
        ),
        (
            "arithmetic.inc",
            "STEP(elements)(p, g, m, s, most, i, n, &c,",
            "STEP(elements)(p, g, m, s, most, i, n + 1, &c,",
            "AddressSanitizer: heap-buffer-overflow",
        ),
        ("formats.inc", "random[i] >> 16 << 4", "random[i] >> 16 << (n + 30)", "runtime error"),
    ],
    ids=["one store too many", "one element too many", "a shift too far"],
)
def test_a_broken_kernel_is_reported(
    file: str, text: str, instead: str, report: str, tmp_path: Path
) -> None:
    """Else the silence of the other test would mean nothing."""
    ended = drive(built(tmp_path, (file, text, instead)), 1)
    assert ended.returncode != 0
    assert report in ended.stderr, ended.stderr[-3000:]
