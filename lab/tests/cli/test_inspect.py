"""`adabelief inspect`: a checkpoint as a table, as JSON and as a page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from adabelief import AdaBelief, diagnostics
from adabelief_lab.cli import app
from training import noise, trained


def saved(path: Path, optimizer: AdaBelief) -> Path:
    torch.save(optimizer.state_dict(), path)
    return path


def test_the_command_shows_a_checkpoint_as_table_json_and_page(tmp_path: Path) -> None:
    optimizer, _ = trained(noise(500, scale=1e-4), 200, eps=1e-8)
    path, html = saved(tmp_path / "c.pt", optimizer), tmp_path / "page.html"
    shown = CliRunner().invoke(app, ["inspect", str(path), "--html", str(html)])
    assert shown.exit_code == 0, shown.output
    (finding,) = diagnostics.optimizer(optimizer).findings()
    text = " ".join(shown.output.split())
    assert f"{finding.name}: {finding.text}." in text
    assert finding.text in html.read_text()
    assert "<svg" in html.read_text()
    assert "http" not in html.read_text(), "it opens without a network"
    told = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    assert json.loads(told.stdout) == json.loads(json.dumps(diagnostics.checkpoint(path).as_dict()))


def test_a_broken_state_is_shown_too(tmp_path: Path) -> None:
    overflows = lambda step: torch.full((4,), math.inf if step == 3 else 1.0)  # noqa: E731
    optimizer, _ = trained(overflows, 10)
    path, html = saved(tmp_path / "c.pt", optimizer), tmp_path / "page.html"
    told = CliRunner().invoke(app, ["inspect", str(path), "--json", "--html", str(html)])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["all"]["sgd_lr"] is None
    assert "No denominator is positive and finite" in html.read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ({"a": torch.ones(1)}, "as in a model's state_dict")],
)
def test_what_is_no_checkpoint_is_said(
    tmp_path: Path, content: dict[str, Tensor] | None, message: str
) -> None:
    path = tmp_path / "c.pt"
    if content is not None:
        torch.save(content, path)
    ended = CliRunner().invoke(app, ["inspect", str(path)])
    assert ended.exit_code == 1
    assert message in " ".join(ended.output.split())
