"""Pictures of a run: rows like others, kept, packed and left out where numbers are wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.conduct.archive import pack, unpack
from adabelief_lab.declare.study import Run, RunRecord
from adabelief_lab.declare.workload import Task
from adabelief_lab.export.description import points
from adabelief_lab.run.picture_rows import SPLIT, packed, picture_rows, pictures
from adabelief_lab.store.study_folder import Store


class Painter(Task):
    """Paints as many images as it is asked for."""

    def step(self, index: int, optimizers: Any) -> dict[str, float]:
        raise AssertionError

    def evaluate(self, split: Any) -> dict[str, float]:
        raise AssertionError

    def pictures(self, count: int) -> torch.Tensor | None:
        images = torch.arange(count * 12, dtype=torch.int64).view(count, 3, 2, 2)
        return (images % 256).to(torch.uint8).transpose(2, 3)  # not contiguous


class Silent(Painter):
    """Paints none."""

    def pictures(self, count: int) -> torch.Tensor | None:
        return Task.pictures(self, count)


def test_a_row_has_the_images_to_the_bit_and_is_text() -> None:
    (row,) = picture_rows(Painter(), 7)
    assert (row["step"], row["split"]) == (7, SPLIT)
    found = pictures(json.loads(json.dumps(row)))
    expected = Painter().pictures(32)
    assert expected is not None
    assert np.array_equal(found, expected.numpy())
    assert found.dtype == np.uint8


def test_who_paints_nothing_has_no_row() -> None:
    assert list(picture_rows(Silent(), 7)) == []


def test_noise_is_packed_without_loss() -> None:
    images = np.random.default_rng(0).integers(256, size=(5, 1, 9, 7), dtype=np.uint8)
    assert np.array_equal(pictures(packed(images)), images)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two small GANs, run for real."""
    out = tmp_path_factory.mktemp("gan") / "study"
    command = ["compare", "wgan", "--preset", "smoke", "--against", "sgd", "--seeds", "1"]
    ended = CliRunner().invoke(app, [*command, "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    return out


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_every_evaluation_has_pictures_of_the_same_noise(study: Path) -> None:
    for folder in (study / "runs").iterdir():
        rows = rows_of(folder)
        evaluated = [row["step"] for row in rows if row["split"] == "test"]
        shown = [row for row in rows if row["split"] == SPLIT]
        assert [row["step"] for row in shown] == evaluated == [2, 4]
        assert {pictures(row).shape for row in shown} == {(32, 1, 8, 8)}


def test_numbers_for_others_are_without_them(study: Path) -> None:
    for folder in (study / "runs").iterdir():
        run = Run.model_validate_json((folder / "spec.json").read_bytes())
        found = list(points(RunRecord(run, None, rows_of(folder))))
        assert len(found) == len([row for row in rows_of(folder) if row["split"] != SPLIT])
        assert not any("zlib" in name for _, numbers in found for name in numbers)
        assert any("test/frechet" in numbers for _, numbers in found)


def test_they_are_packed_with_the_run(study: Path, tmp_path: Path) -> None:
    assert pack(Store(study), tmp_path / "study.zip") == 2
    unpack(tmp_path / "study.zip", Store(tmp_path / "copy"))
    for folder in (study / "runs").iterdir():
        copy = tmp_path / "copy" / "runs" / folder.name / "metrics.jsonl"
        assert copy.read_bytes() == (folder / "metrics.jsonl").read_bytes()


def test_a_difference_of_pictures_is_told_in_a_line(study: Path) -> None:
    """The first byte of somebody's pictures is another one."""
    seen: list[str] = []
    for folder in (study / "runs").iterdir():
        rows = rows_of(folder)
        shown = next(row for row in rows if row["split"] == SPLIT)
        seen.append(shown["zlib"])
        shown.update(packed(pictures(shown) ^ np.uint8(1)))
        seen.append(shown["zlib"])
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "metrics.jsonl").write_text(text)
    ended = CliRunner().invoke(app, ["verify", str(study), "--runs", "1"])
    assert ended.exit_code == 1
    assert "zlib at step 2 (pictures) was" in " ".join(ended.output.split())
    told = "".join(ended.output.split())
    assert not any(text in told for text in seen)
    assert len(told) < 2000


def test_a_single_run_shows_numbers_only(tmp_path: Path) -> None:
    command = ["run", "wgan", "sgd", "--lr", "2e-4", "--preset", "smoke", "--out", str(tmp_path)]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    assert "frechet" in ended.output
    assert "zlib" not in ended.output
