"""Which commit a result names: this checkout's, and never that of a repository around it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import adabelief
from adabelief_lab.common.code_version import commit
from adabelief_lab.common.environment import environment


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
    monkeypatch.setattr(adabelief, "__file__", str(file))
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
