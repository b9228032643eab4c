"""What several benchmarks of training share: runs, equal weights, and shares of a step's time."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.bench.harness import NOTHING, Table, interleaved, timed
from adabelief_lab.declare.study import Run, Study
from adabelief_lab.declare.workload import Task, Workload
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.run.timing import OptimizerClock
from adabelief_lab.run.validate import build


def made(spec: OptimizerSpec, model: nn.Module) -> Optimizer:
    """The optimizer with its published settings."""
    return make_declared_optimizer(spec, model.parameters(), spec.arguments(spec.published))


def shares(task: Task, specs: Sequence[OptimizerSpec], rounds: int) -> dict[str, float]:
    """For each optimizer, the median of its steps' share of the time of a whole training step."""
    found = {}
    for spec in specs:
        optimizers = {name: made(spec, module) for name, module in task.modules.items()}
        clock = OptimizerClock(optimizers.values())

        def share(
            number: int,
            optimizers: Mapping[str, Optimizer] = optimizers,
            clock: OptimizerClock = clock,
        ) -> float:
            before, start = clock.seconds, time.perf_counter()
            task.step(number, optimizers)
            return (clock.seconds - before) / (time.perf_counter() - start)

        found[spec.name] = statistics.median(interleaved({"": share}, rounds)[""])
    return found


def compared(
    candidates: Mapping[str, Callable[[int], Any]],
    task: Task,
    specs: Sequence[OptimizerSpec],
    rounds: int,
) -> dict[str, Any]:
    """CPU seconds of a step of every candidate in every round; and the shares of optimizers."""
    timers = {name: timed(step) for name, step in candidates.items()}
    speeds = interleaved(timers, rounds)
    return {"speeds": speeds, "shares": shares(task, specs, max(2, rounds // 4))}


def shares_table(columns: Mapping[str, Mapping[str, float]], specs: Iterable[OptimizerSpec]) -> str:
    """Shares in percent, a column for each of `columns`."""
    labels = {spec.name: spec.label for spec in specs}
    rows = [
        (label, *(f"{100 * own[name]:.1f}" if name in own else NOTHING for own in columns.values()))
        for name, label in labels.items()
    ]
    return str(Table(("optimizer", *columns), rows))


def sized(study: Study, optimizer: str, hyperparameters: Mapping[str, Any], **settings: Any) -> Run:
    """The first final run of a study's optimizer, with other settings of the preset."""
    changed = study.settings.model_copy(update=settings)
    study = study.model_copy(update={"settings": changed})
    return study.final_runs(study.optimizer(optimizer), hyperparameters)[0]


def begun(run: Run, workload: Workload) -> tuple[Task, Optimizer]:
    """The run's task and its optimizer, before the first step."""
    task = build(workload, run)
    params = task.modules["model"].parameters()
    return task, make_declared_optimizer(run, params, run.hyperparameters)


def same_weights(name: str, task: Task, kept: dict[str, Tensor], key: str) -> None:
    """Exit if a candidate trained other weights than the first one of this `key` in `kept`."""
    ended = torch.cat([param.detach().flatten() for param in task.modules["model"].parameters()])
    if not torch.equal(ended, kept.setdefault(key, ended)):
        sys.exit(f"{name} did not train the same: the times mean nothing")
