"""The wheel in environments of its own: two versions of torch, and none of our tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from paths import ROOT

OLDER = "2.13.0"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wheels are Linux's"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
]

# The kernel against the loop, in the environment itself: there is no pytest.
PARITY = """
import sys, torch, adabelief
from adabelief import AdaBelief
from adabelief.kernels import cpu
assert sys.argv[1] in adabelief.__file__, adabelief.__file__
assert torch.__version__.split("+")[0] == sys.argv[2], torch.__version__
assert cpu.unavailable() is None, cpu.unavailable()
cases = [{}, {"amsgrad": True, "clip_update": 0.5}, {"weight_decay": 0.1, "rectify": True},
         {"state_dtype": "bfloat16"}, {"state_dtype": "8bit"},
         {"master_weights": "split"}, {"master_weights": "stochastic"}]
for options in cases:
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        dtypes = [torch.float32, torch.bfloat16] + [torch.float64] * ("state_dtype" not in options)
        params = [torch.randn(n, dtype=d).requires_grad_() for n in (1, 300, 70000) for d in dtypes]
        optimizer = AdaBelief(params, lr=0.1, fused=fused, **options)
        for _ in range(5):
            for param in params:
                param.grad = torch.randn_like(param)
            optimizer.step()
        results.append(params)
    for one, other in zip(*results, strict=True):
        near = 2e-2 if one.dtype == torch.bfloat16 else 1e-3
        torch.testing.assert_close(one, other, rtol=near, atol=near / 10)
print("parity on", torch.__version__)
"""

WHY = """
import torch
from adabelief import AdaBelief
param = torch.nn.Parameter(torch.ones(3))
try:
    AdaBelief([param], fused=True)
except RuntimeError as error:
    print(error)
param.grad = torch.ones(3)
AdaBelief([param]).step()
print(param.sum().item() < 3)
"""


def run(*command: object, env: dict[str, str] | None = None, fails: bool = False) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, check=False, timeout=1000, cwd="/",
        env={**environment, **(env or {})},
    )  # fmt: skip
    assert (ended.returncode != 0) is fails, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def environment(folder: Path, *, with_our_torch: bool) -> Path:
    """A fresh venv's Python; this Python's packages, all but adabelief, by a .pth file."""
    run(sys.executable, "-m", "venv", folder)
    if with_our_torch:
        (packages,) = (folder / "lib").glob("python*/site-packages")
        (packages / "ours.pth").write_text(str(Path(torch.__file__).parents[1]))
    return folder / "bin" / "python"


def source(to: Path) -> Path:
    """What an installation is built from, without anything built before."""
    nothing = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", to / "src", ignore=nothing)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, to)
    return to


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".venv" / ".wheel").exists():
        pytest.skip("`make wheel` has not brought auditwheel")  # slow, and a tool of its own
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, ROOT / "scripts" / "build_wheel.py", out)
    (path,) = out.iterdir()
    return path


def test_the_wheel_is_for_every_python_and_any_recent_linux(wheel: Path) -> None:
    assert "-cp310-abi3-manylinux" in wheel.name


def test_the_wheel_holds_the_optimizer_and_nothing_else(wheel: Path) -> None:
    assert wheel.stat().st_size < 1_000_000
    names, metadata = contents(wheel)
    assert {name.split("/")[0].split("-")[0].split(".")[0] for name in names} == {"adabelief"}
    assert [name for name in names if "LICENSE" in name] == [
        name for name in names if name.endswith(".dist-info/licenses/LICENSE")
    ]
    assert not [name for name in names if name.endswith((".npz", ".xz", ".zip", ".html"))]
    needed = re.findall(r"^Requires-Dist: ([\w-]+)", metadata, re.MULTILINE)
    assert sorted(needed) == ["numpy", "torch"]


def test_the_laboratory_has_a_wheel_of_its_own(tmp_path: Path) -> None:
    nothing = shutil.ignore_patterns("*.egg-info", "__pycache__", "build")
    shutil.copytree(ROOT / "lab", tmp_path / "lab", ignore=nothing)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--no-cache-dir", "-w", tmp_path / "made", tmp_path / "lab")
    (made,) = (tmp_path / "made").iterdir()
    assert made.name.startswith("adabelief_lab-")
    names, metadata = contents(made)
    data = {path.name for path in (ROOT / "lab/src/adabelief_lab/data").iterdir() if path.is_file()}
    assert data <= {Path(name).name for name in names if name.startswith("adabelief_lab/data/")}
    assert not [name for name in names if name.startswith(("adabelief/", "tests"))]
    assert len([name for name in names if "/licenses/" in name]) == 5  # ours, and four of data
    assert re.search(r"^Requires-Dist: adabelief==", metadata, re.MULTILINE)
    extras = re.findall(r"^Provides-Extra: (\w+)", metadata, re.MULTILINE)
    assert sorted(extras) == ["gan", "ray", "rivals", "trackers", "translation", "vision"]


def contents(wheel: Path) -> tuple[list[str], str]:
    """The names in a wheel, and its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        return names, archive.read(metadata).decode()


def test_the_wheel_works_with_this_torch(wheel: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", with_our_torch=True)
    run(python, "-m", "pip", "install", "--no-deps", "--force-reinstall", wheel)
    version = torch.__version__.split("+")[0]
    assert "parity on" in run(python, "-W", "error", "-c", PARITY, tmp_path, version)


def test_the_wheel_works_with_an_older_torch(wheel: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", with_our_torch=False)
    # The CPU's build where one is at hand; from PyPI it is CUDA's.
    run(python, "-m", "pip", "install", f"torch=={OLDER}", "numpy")
    run(python, "-m", "pip", "install", "--no-deps", wheel)
    assert "parity on" in run(python, "-c", PARITY, tmp_path, OLDER)


def test_without_a_compiler_it_installs_and_says_why_there_is_no_kernel(tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", with_our_torch=True)
    install = (python, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--force-reinstall")
    folder = source(tmp_path / "source")
    none = {"CC": "/bin/false"}
    failed = run(*install, folder, env={**none, "ADABELIEF_REQUIRE_KERNEL": "1"}, fails=True)
    assert "/bin/false" in failed
    run(*install, source(tmp_path / "another"), env=none)
    reason, works = run(python, "-c", WHY).splitlines()
    assert "fused must be None or False here, got True: the C kernel was not built" in reason
    assert works == "True"


def test_the_source_distribution_builds(tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    make = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", make, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=folder, timeout=300,
    )  # fmt: skip
    archive = tmp_path / made.stdout.splitlines()[-1]
    with tarfile.open(archive) as files:
        names = {Path(name).name for name in files.getnames()}
    csrc = ROOT / "src" / "adabelief" / "kernels" / "csrc"
    assert {path.name for path in csrc.iterdir()} <= names
    python = environment(tmp_path / "venv", with_our_torch=True)
    install = (python, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--force-reinstall")
    run(*install, archive, env={"ADABELIEF_REQUIRE_KERNEL": "1"})
    assert "parity on" in run(
        python, "-c", PARITY, tmp_path / "venv", torch.__version__.split("+")[0]
    )
