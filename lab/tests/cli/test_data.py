"""`adabelief data`: what is there, what is missing and where it belongs, what is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.data import fashion_mnist

runner = CliRunner()


def states(*, code: int = 0) -> dict[str, tuple[str, str]]:
    ended = runner.invoke(app, ["data", "--json"])
    assert ended.exit_code == code, ended.output
    return {each["name"]: (each["state"], each["detail"]) for each in json.loads(ended.stdout)}


def test_what_is_in_the_package_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fashion_mnist.VARIABLE, raising=False)
    found = states()
    assert found["fashion-mnist-10k"] == found["sotu"] == ("ready", "in the package")
    state, detail = found["fashion-mnist"]
    assert state == "missing"
    assert detail.startswith(f"set {fashion_mnist.VARIABLE} to the folder with train-images")


def test_a_folder_without_the_files_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(fashion_mnist.VARIABLE, str(tmp_path))
    state, detail = states()["fashion-mnist"]
    assert state == "missing"
    assert "t10k-labels-idx1-ubyte[.gz]" in detail


def test_damaged_files_end_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in fashion_mnist.OFFICIAL_SHA256:
        (tmp_path / name).write_bytes(b"\0\0\x08\x03" if "idx3" in name else b"\0\0\x08\x01")
    monkeypatch.setenv(fashion_mnist.VARIABLE, str(tmp_path))
    state, _ = states(code=1)["fashion-mnist"]
    assert state == "damaged"


def test_the_table_fits_and_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fashion_mnist.VARIABLE, raising=False)
    shown = runner.invoke(app, ["data"], env={"COLUMNS": "100"}).stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert "ready" in shown
    assert "missing" in shown
