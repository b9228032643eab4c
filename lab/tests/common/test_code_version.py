"""Which commit a result names, and which files of ours can change a number of a run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adabelief_lab.common.code_version import PACKAGES, commit, differences, file_hashes
from adabelief_lab.common.environment import environment
from adabelief_lab.conduct.compare import code_of, declare
from adabelief_lab.optimizers import resolve
from adabelief_lab.paper import record
from adabelief_lab.paper.catalogue import EXHIBITS
from adabelief_lab.workloads.load import load_workload


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with one commit, and a package that is not in it yet."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "README").write_text("")
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "--quiet", "--message=first")
    file = tmp_path / "venv" / "adabelief" / "__init__.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setitem(PACKAGES, "adabelief", file.parent)
    commit.cache_clear()
    yield file
    commit.cache_clear()


def test_an_installed_package_names_no_commit(package: Path) -> None:
    assert commit() == ""
    assert "commit" not in environment()


def test_a_checkout_names_its_commit_and_that_files_changed(package: Path) -> None:
    git(package.parent, "add", package.name)
    git(package.parent, "commit", "--quiet", "--message=second")
    head = git(package.parent, "rev-parse", "HEAD")
    assert head.startswith(commit())
    assert len(commit()) >= 7
    package.write_text("changed")
    commit.cache_clear()
    assert environment()["commit"].endswith("-dirty")


def test_without_git_there_is_no_commit(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(package.parent, "add", package.name)
    monkeypatch.setenv("PATH", "")
    assert commit() == ""


def changed(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on copies of both packages are hashed, with a line more in the file of that name."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.xz")
    for package, place in dict(PACKAGES).items():
        shutil.copytree(place, folder / package, ignore=ignored)
        monkeypatch.setitem(PACKAGES, package, folder / package)
    with (folder / name).open("ab") as file:
        file.write(b"\n")


def code_of_a_run() -> dict[str, str]:
    loaded = load_workload("fashion-mnist")
    return code_of(declare(loaded, "smoke", resolve(["adabelief", "eadam"])), loaded.workload)


@pytest.mark.parametrize(
    "name",
    [
        "adabelief/optimizer.py",
        "adabelief/step/dispatch.py",  # imported by a module that is imported
        "adabelief/kernels/triton_step.py",  # imported within a function
        "adabelief/kernels/csrc/batch.c",
        "adabelief/diagnostics/measures.py",  # rows of the belief are made by it
        "adabelief_lab/run/train.py",
        "adabelief_lab/workloads/fashion_mnist.py",
        "adabelief_lab/data/fashion_mnist_10k.npz",  # the module beside it names it
        "adabelief_lab/optimizers/implementations/eadam.py",
    ],
)
def test_a_changed_file_that_a_run_reaches_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = code_of_a_run()
    changed(name, tmp_path, monkeypatch)
    assert differences(before, code_of_a_run()) == [f"{name}: changed"]


@pytest.mark.parametrize(
    "name",
    [
        "adabelief/__init__.py",  # passes names on
        "adabelief/param_groups.py",
        "adabelief/gradient_release.py",
        "adabelief_lab/cli/study.py",
        "adabelief_lab/report/page.py",
        "adabelief_lab/analysis/statistics.py",
        "adabelief_lab/workloads/__init__.py",  # imports all workloads
        "adabelief_lab/workloads/cifar.py",
        "adabelief_lab/optimizers/papers.py",
        "adabelief_lab/optimizers/implementations/swats.py",
        "adabelief_lab/conduct/compare.py",
        "adabelief_lab/paper/fig2.py",
    ],
)
def test_a_changed_file_that_a_run_cannot_reach_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = code_of_a_run()
    changed(name, tmp_path, monkeypatch)
    assert code_of_a_run() == before


@pytest.mark.parametrize(
    ("name", "outdated"),
    [
        ("adabelief_lab/paper/figure3/race.py", True),
        ("adabelief_lab/paper/figure3/explore.js", True),
        ("adabelief_lab/optimizers/implementations/eadam.py", True),
        ("adabelief_lab/paper/fig2.py", False),
        ("adabelief_lab/paper/page.css", False),
        ("adabelief_lab/run/train.py", False),
    ],
)
def test_a_record_is_of_the_files_that_its_exhibit_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, outdated: bool
) -> None:
    before = record.code(EXHIBITS["fig3"])
    changed(name, tmp_path, monkeypatch)
    assert (record.code(EXHIBITS["fig3"]) != before) == outdated


def test_only_imports_that_can_be_executed_count(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "import numpy\n"
        "if TYPE_CHECKING:\n"
        "    from adabelief_lab.common.rng import seed\n"
        "else:\n"
        "    def load():\n"
        "        from adabelief_lab.common import errors as told\n"
    )
    assert list(file_hashes(file)) == ["adabelief_lab/common/errors.py"]
    assert file_hashes("torch.optim:SGD") == {}
    everything = {"adabelief_lab/common/errors.py", "adabelief_lab/common/rng.py"}
    assert set(file_hashes(file, "adabelief_lab.common.rng:seed")) == everything


def test_files_that_are_on_one_side_only_are_no_difference() -> None:
    assert differences({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == []
    assert differences({"a": "1", "b": "2"}, {"b": "3"}) == ["b: changed"]
    assert differences({}, {"a": "1"}) == []
    assert differences({"a": "1", "b": "1"}, {"c": "1"}) == ["a: gone", "b: gone"]
