"""The training loop: schedules and what it hands to the optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.study import Run
from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload
from adabelief_lab.run.train import execute
from adabelief_lab.store.run_folder import RunFolder

Kind = Literal["constant", "cosine"]


class Watched(Task):
    """Records the learning rates it is stepped with; its gradient is always 1."""

    seen: list[float]

    def __init__(self) -> None:
        self.modules = {"model": nn.Linear(1, 1, bias=False)}
        self.seen = []
        nn.init.zeros_(self.weight)

    @property
    def weight(self) -> Tensor:
        return next(self.modules["model"].parameters())

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, float]:
        self.seen.append(optimizers["model"].param_groups[0]["lr"])
        self.weight.grad = torch.ones(1, 1)
        optimizers["model"].step()
        return {"loss": float(index)}

    def evaluate(self, split: Split) -> Mapping[str, float]:
        return {"weight": self.weight.item(), "test": float(split == "test")}


def execute_watched(
    tmp_path: Path, schedule: Kind, phase: Literal["tune", "final"]
) -> tuple[Watched, RunFolder]:
    task = Watched()
    preset = Preset(steps=5, eval_every=2, trials=1, seeds=1)
    metrics = (Metric(name="weight", direction="min"), Metric(name="test", direction="max"))
    workload = Workload("watched", lambda *_: task, metrics, "weight", {"only": preset})
    run = Run(
        workload="watched", workload_hash="", preset="only", steps=5, eval_every=2,
        schedule=Schedule(kind=schedule), options={}, optimizer="sgd", implementation="sgd",
        hyperparameters={"lr": 0.5}, init_seed=0, data_seed=0, phase=phase,
    )  # fmt: skip
    folder = RunFolder(tmp_path)
    execute(folder, run, workload)
    return task, folder


def test_a_constant_schedule_leaves_the_learning_rate(tmp_path: Path) -> None:
    task, folder = execute_watched(tmp_path, "constant", "tune")
    assert task.seen == [0.5] * 5
    assert task.weight.item() == -2.5
    result = folder.result()
    assert result is not None
    assert result.last == {"weight": -2.5, "test": 0.0}


def test_a_cosine_schedule_falls_from_the_tuned_learning_rate_to_zero(tmp_path: Path) -> None:
    task, _ = execute_watched(tmp_path, "cosine", "final")
    # 0.5 * (1 + cos(pi * index / 5)) / 2 for index 0 to 4, to four digits from a table of cosines
    assert task.seen == pytest.approx([0.5, 0.4523, 0.3273, 0.1727, 0.0477], abs=1e-4)


def test_rows_have_the_mean_loss_of_each_window_and_the_split_of_the_phase(tmp_path: Path) -> None:
    _, folder = execute_watched(tmp_path, "constant", "final")
    rows = folder.rows()
    assert [(row["step"], row["split"]) for row in rows] == [
        (2, "train"), (2, "test"), (4, "train"), (4, "test"), (5, "train"), (5, "test")
    ]  # fmt: skip
    assert [row["loss"] for row in rows[::2]] == [0.5, 2.5, 4.0]
    assert [row["weight"] for row in rows[1::2]] == [-1.0, -2.0, -2.5]
    assert {row["test"] for row in rows[1::2]} == {1.0}


def test_the_clocks_of_a_run(tmp_path: Path) -> None:
    """Time in the optimizer is a part of the training's; memory is that of a process with torch."""
    _, folder = execute_watched(tmp_path, "constant", "tune")
    result = folder.result()
    assert result is not None
    assert 0 < result.optimizer_seconds < result.seconds
    assert 50 * 2**20 < result.peak_bytes < 2**40
