"""What the lab's training loop costs against a bare loop that trains the same, to the last bit.

Candidates take turns in one process, in shuffled rounds, on the same model, data, order and
optimizer: a loop as one writes it by hand, the same around the lab's task, and the lab's loop
without and with its files. The tables show medians over rounds of the ratio to the bare loop of the
same round. All of them evaluate at the same steps by the same code; that time is kept apart. Their
weights at the end must be equal, or nothing is written. Writes results/benchmarks/loop.json and its
tables in docs/scaling.md.

    python -m benchmarks.loop [--rounds 40] [--scratch FOLDER]

Files are written in the folder, and removed.
"""

from __future__ import annotations

import gc
import math
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from adabelief_lab.bench.harness import Benchmark, Record, Table, conditions, interleaved, paired
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.common.rng import generator
from adabelief_lab.conduct.compare import declare
from adabelief_lab.declare.study import Run
from adabelief_lab.declare.workload import Split, Task
from adabelief_lab.optimizers import resolve
from adabelief_lab.run.train import Progress, _loop
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.workloads.fashion_mnist import load_splits
from adabelief_lab.workloads.load import Loaded, load_workload
from benchmarks import DOCS, RECORDS
from benchmarks.costs import begun, same_weights, sized

WORKLOAD = load_workload("fashion-mnist").workload


class Case(NamedTuple):
    """A size of fashion-mnist with its embedded data."""

    title: str
    batch_size: int
    steps: int
    eval_every: int

    def run(self) -> Run:
        """AdaBelief's run of that size."""
        study = declare(Loaded(WORKLOAD, "", ""), "quick", resolve(["adabelief"]))
        options = {"data": "embedded", "batch_size": self.batch_size, "width": 16}
        sizes = {"steps": self.steps, "eval_every": self.eval_every, "options": options}
        return sized(study, "adabelief", {"lr": 1e-3}, **sizes)


# Turns of a second: a machine's other work changes more slowly. A checkpoint every 60 steps is what
# preset quick has; preset full has one every 375, so that here its cost counts three times.
CASES = {
    "quick": Case("batch 64, as preset quick", 64, 60, 30),
    "full": Case("batch 128, as preset full", 128, 120, 60),
}


def now() -> np.ndarray:
    """Wall and CPU seconds."""
    return np.array((time.perf_counter(), time.process_time()))


class Timed(Task):
    """The task, with the time of its evaluations: wall and CPU seconds."""

    def __init__(self, inner: Task) -> None:
        self.modules, self.step = inner.modules, inner.step  # type: ignore[method-assign]
        self.seconds = np.zeros(2)
        self._inner = inner

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor | float]:
        """The inner task's own, without a call in between."""
        raise NotImplementedError

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """As the inner task."""
        start = now()
        metrics = self._inner.evaluate(split)
        self.seconds += now() - start
        return metrics


class WithoutFiles(RunFolder):
    """Keeps nothing."""

    def append(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Forget the rows."""
        return 0

    def save(self, state: Mapping[str, Any], group: ProcessGroup = SINGLE) -> None:
        """Forget the checkpoint."""


def written(
    run: Run, task: Task, optimizer: Optimizer, step: Callable[[int], Tensor | float]
) -> None:
    """A loop as one writes it around a step: schedule, losses, evaluations."""
    losses = []
    for index in range(run.steps):
        for group in optimizer.param_groups:
            group["lr"] = run.hyperparameters["lr"] * (
                0.5 * (1 + math.cos(math.pi * (index / run.steps)))
            )
        losses.append(float(step(index)))
        if (index + 1) % run.eval_every == 0:
            task.evaluate(run.split)


def by_hand(run: Run, task: Task, optimizer: Optimizer, folder: Path) -> None:
    """What one writes without the lab."""
    model, size = task.modules["model"], run.options["batch_size"]
    inputs, targets = load_splits("embedded")["train"]
    order = torch.empty(0)

    def step(index: int) -> Tensor:
        nonlocal order
        epoch, place = divmod(index, len(inputs) // size)
        if place == 0:
            order = torch.randperm(len(inputs), generator=generator(run.data_seed, 0, epoch))
        chosen = order[place * size : (place + 1) * size]
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs[chosen]), targets[chosen])
        loss.backward()
        optimizer.step()
        return loss.detach()

    written(run, task, optimizer, step)


def with_task(run: Run, task: Task, optimizer: Optimizer, folder: Path) -> None:
    """The same, but a step is the task's: what `Supervised` costs."""
    optimizers = {"model": optimizer}
    written(run, task, optimizer, lambda index: task.step(index, optimizers)["loss"])


def without_files(run: Run, task: Task, optimizer: Optimizer, folder: Path) -> None:
    """The lab's loop: schedule, divergence, clocks, metrics."""
    _loop(WithoutFiles(folder), run, WORKLOAD, task, {"model": optimizer}, Progress())


def lab(run: Run, task: Task, optimizer: Optimizer, folder: Path) -> None:
    """The lab's loop with rows and checkpoints, each forced to the disk."""
    _loop(RunFolder(folder), run, WORKLOAD, task, {"model": optimizer}, Progress())


# What each adds to the one before it.
CANDIDATES: dict[str, tuple[str, Callable[[Run, Task, Optimizer, Path], None]]] = {
    "bare": ("bare loop", by_hand),
    "task": ("a step by `Supervised`", with_task),
    "loop": ("the lab's loop, no files", without_files),
    "lab": ("the lab's loop, rows and checkpoints", lab),
}
BASELINE = "bare"
WARM_UP = 4


def times(case: Case, rounds: int, scratch: Path | None) -> dict[str, list[dict[str, float]]]:
    """Seconds of every candidate in every round, evaluations and the rest apart."""
    run = case.run()
    warm_up = run.model_copy(update={"steps": WARM_UP})  # pays for what is lazy, and does not count
    kept: dict[str, Tensor] = {}

    def candidate(name: str) -> Callable[[int], dict[str, float]]:
        def seconds(number: int) -> dict[str, float]:
            each = run if number else warm_up
            inner, optimizer = begun(each, WORKLOAD)
            task = Timed(inner)
            gc.collect()
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                start = now()
                CANDIDATES[name][1](each, task, optimizer, Path(folder))
                took = now() - start - task.seconds
            same_weights(name, task, kept, each.key)
            names = ("wall", "cpu", "eval_wall", "eval_cpu")
            return dict(zip(names, [*took.tolist(), *task.seconds.tolist()], strict=True))

        return seconds

    return interleaved({name: candidate(name) for name in CANDIDATES}, rounds)


def measure(given: Namespace) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    return {
        "cases": {
            name: {**case._asdict(), "rounds": times(case, given.rounds, given.scratch)}
            for name, case in CASES.items()
        }
    }


Rounds = Mapping[str, list[dict[str, float]]]


def overhead(rounds: Rounds, name: str, clock: str, evaluated: bool) -> float:
    """Median over rounds of the time beyond the bare loop's, in percent of it."""

    def seconds(name: str) -> list[float]:
        return [one[clock] + evaluated * one[f"eval_{clock}"] for one in rounds[name]]

    return 100 * (paired(seconds(name), seconds(BASELINE)).median - 1)


def table(record: Record) -> str:
    """A table for each case."""
    parts = [f"{conditions(record)} In percent of the bare loop's time."]
    heads = ("loop", "CPU time", "wall", "CPU time with evaluations", "wall with evaluations")
    for case in record["cases"].values():
        rounds = case["rounds"]
        bare = statistics.median(one["cpu"] for one in rounds[BASELINE]) / case["steps"]
        parts.append(
            f"{case['title'].capitalize()}: {len(rounds[BASELINE])} rounds of {case['steps']} "
            f"steps, rows every {case['eval_every']}, one checkpoint; {1e3 * bare:.2f} ms of CPU "
            "time a step by hand."
        )
        rows = [
            (title, *(f"{overhead(rounds, name, clock, evaluated):+.1f} %".replace("-", "−")
                      for evaluated in (False, True) for clock in ("cpu", "wall")))
            for name, (title, _) in CANDIDATES.items() if name != BASELINE
        ]  # fmt: skip
        parts.append(str(Table(heads, rows)))
    return "\n\n".join(parts)


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "loop.json",
    DOCS / "scaling.md",
    {"loop": table},
    measure,
    {"rounds": 40, "scratch": None},
)

if __name__ == "__main__":
    BENCHMARK.command()
