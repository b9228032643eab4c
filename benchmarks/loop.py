"""What the lab's training loop costs against a bare loop that trains the same, to the last bit.

Contenders take turns in one process, in shuffled rounds, on the same model, data, order and
optimizer: a loop as one writes it by hand, the same around the lab's task, and the lab's loop
without and with its files. Reported are medians over rounds of the ratio to the bare loop of the
same round. All of them evaluate at the same steps by the same code; that time is kept apart. Their
weights at the end must be equal, or nothing is written. Writes docs/loop.json and its table in
docs/scaling.md.

    python -m benchmarks.loop [--rounds 40] [--scratch FOLDER]
    python -m benchmarks.loop --table    # only writes the table anew, from the record
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from benchmarks.marked import filled
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from adabelief_lab.common.environment import environment
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.common.rng import generator
from adabelief_lab.conduct.compare import declare
from adabelief_lab.declare.study import Run
from adabelief_lab.declare.workload import Split, Task
from adabelief_lab.optimizers import resolve
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.run.train import Progress, _loop
from adabelief_lab.run.validate import build
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.workloads.fashion_mnist import load_splits
from adabelief_lab.workloads.load import Loaded, load_workload

DOCS = Path(__file__).parent.parent / "docs"
RECORD, PAGE = DOCS / "loop.json", DOCS / "scaling.md"
BEGIN, END = "<!-- written by benchmarks/loop.py -->", "<!-- to here, loop -->"
WORKLOAD = load_workload("fashion-mnist").workload


class Case(NamedTuple):
    """A size of fashion-mnist with its embedded data."""

    title: str
    batch_size: int
    steps: int
    eval_every: int


# Turns of a second: a machine's other work changes more slowly. A checkpoint every 60 steps is what
# preset quick has; preset full has one every 375, so that here its cost counts three times.
CASES = {
    "quick": Case("batch 64, as preset quick", 64, 60, 30),
    "full": Case("batch 128, as preset full", 128, 120, 60),
}


class Timed(Task):
    """The task, with the time of its evaluations: (wall, CPU) seconds."""

    def __init__(self, inner: Task) -> None:
        self.modules, self.step = inner.modules, inner.step  # type: ignore[method-assign]
        self.seconds = (0.0, 0.0)
        self._inner = inner

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor | float]:
        """The inner task's own, without a call in between."""
        raise NotImplementedError

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """As the inner task."""
        start = now()
        metrics = self._inner.evaluate(split)
        self.seconds = plus(self.seconds, minus(now(), start))
        return metrics


class WithoutFiles(RunFolder):
    """Keeps nothing."""

    def append(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Forget the rows."""
        return 0

    def save(self, state: Mapping[str, Any], group: ProcessGroup = SINGLE) -> None:
        """Forget the checkpoint."""


Seconds = tuple[float, float]


def now() -> Seconds:
    """Wall and CPU."""
    return time.perf_counter(), time.process_time()


def plus(a: Seconds, b: Seconds) -> Seconds:
    """Of each clock."""
    return a[0] + b[0], a[1] + b[1]


def minus(a: Seconds, b: Seconds) -> Seconds:
    """Of each clock."""
    return a[0] - b[0], a[1] - b[1]


def by_hand(run: Run, task: Timed, optimizer: Optimizer, folder: Path) -> None:
    """What one writes without the lab."""
    model = task.modules["model"]
    inputs, targets = load_splits("embedded")["train"]
    batch_size, lr = run.options["batch_size"], run.hyperparameters["lr"]
    losses = []
    for index in range(run.steps):
        epoch, place = divmod(index, len(inputs) // batch_size)
        if place == 0:
            order = torch.randperm(len(inputs), generator=generator(run.data_seed, 0, epoch))
        for group in optimizer.param_groups:
            group["lr"] = lr * (0.5 * (1 + math.cos(math.pi * (index / run.steps))))
        chosen = order[place * batch_size : (place + 1) * batch_size]
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs[chosen]), targets[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if (index + 1) % run.eval_every == 0:
            task.evaluate(run.split)


def with_task(run: Run, task: Timed, optimizer: Optimizer, folder: Path) -> None:
    """The same, but a step is the task's: what `Supervised` costs."""
    optimizers, lr = {"model": optimizer}, run.hyperparameters["lr"]
    losses = []
    for index in range(run.steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (0.5 * (1 + math.cos(math.pi * (index / run.steps))))
        losses.append(float(task.step(index, optimizers)["loss"]))
        if (index + 1) % run.eval_every == 0:
            task.evaluate(run.split)


def without_files(run: Run, task: Timed, optimizer: Optimizer, folder: Path) -> None:
    """The lab's loop: schedule, divergence, clocks, metrics."""
    _loop(WithoutFiles(folder), run, WORKLOAD, task, {"model": optimizer}, Progress())


def lab(run: Run, task: Timed, optimizer: Optimizer, folder: Path) -> None:
    """The lab's loop with rows and checkpoints, each forced to the disk."""
    _loop(RunFolder(folder), run, WORKLOAD, task, {"model": optimizer}, Progress())


# What each adds to the one before it.
CONTENDERS: Mapping[str, tuple[str, Callable[[Run, Timed, Optimizer, Path], None]]] = {
    "bare": ("bare loop", by_hand),
    "task": ("a step by `Supervised`", with_task),
    "loop": ("the lab's loop, no files", without_files),
    "lab": ("the lab's loop, rows and checkpoints", lab),
}
BASELINE = "bare"
WARM_UP = 4


def run_of(case: Case) -> Run:
    """AdaBelief on fashion-mnist of that size."""
    study = declare(Loaded(WORKLOAD, "", ""), "quick", resolve(["adabelief"]))
    options = {"data": "embedded", "batch_size": case.batch_size, "width": 16}
    settings = study.settings.model_copy(
        update={"steps": case.steps, "eval_every": case.eval_every, "options": options}
    )
    sized = study.model_copy(update={"settings": settings})
    return sized.final_runs(sized.optimizers[0], {"lr": 1e-3})[0]


def measure(case: Case, rounds: int, scratch: Path) -> dict[str, list[dict[str, float]]]:
    """Seconds of every contender in every round, evaluations and the rest apart."""
    run = run_of(case)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    weights: dict[str, Tensor] = {}
    warm_up = run.model_copy(update={"steps": WARM_UP})  # pays for what is lazy, and does not count
    for each in (warm_up, *[run] * rounds):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            task = Timed(build(WORKLOAD, each))
            params = task.modules["model"].parameters()
            optimizer = make_declared_optimizer(run, params, run.hyperparameters)
            gc.collect()
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                start = now()
                CONTENDERS[name][1](each, task, optimizer, Path(folder))
                wall, cpu = minus(minus(now(), start), task.seconds)
            ended = torch.cat([p.detach().flatten() for p in task.modules["model"].parameters()])
            if not torch.equal(ended, weights.setdefault(each.key, ended)):
                sys.exit(f"{name} did not train the same: the times mean nothing")
            if each is run:
                evaluation = dict(zip(("eval_wall", "eval_cpu"), task.seconds, strict=True))
                found[name].append({"wall": wall, "cpu": cpu, **evaluation})
    return found


def record_of(cases: Mapping[str, Case], rounds: int, scratch: Path) -> dict[str, Any]:
    """The record: all times of all rounds."""
    torch.set_num_threads(1)
    load_average = os.getloadavg()[0]
    measured = {
        name: {**case._asdict(), "rounds": measure(case, rounds, scratch)}
        for name, case in cases.items()
    }
    return {"machine": environment(), "load_average": load_average, "cases": measured}


Rounds = Mapping[str, list[dict[str, float]]]


def overhead(rounds: Rounds, name: str, clock: str, evaluated: bool) -> float:
    """Median over rounds of the time beyond the bare loop's, in percent of it."""

    def seconds(one: Mapping[str, float]) -> float:
        return one[clock] + (one[f"eval_{clock}"] if evaluated else 0.0)

    pairs = zip(rounds[name], rounds[BASELINE], strict=True)
    return 100 * (statistics.median(seconds(ours) / seconds(bare) for ours, bare in pairs) - 1)


def table(record: Mapping[str, Any]) -> str:
    """The tables in Markdown."""
    facts = record["machine"]
    lines = [
        f"torch {facts['torch']}, {facts['processor']}, {facts['threads']} thread; load average "
        f"{record['load_average']:.1f} at the beginning. In percent of the bare loop's time.",
    ]
    for case in record["cases"].values():
        rounds = case["rounds"]
        bare = statistics.median(one["cpu"] for one in rounds[BASELINE]) / case["steps"]
        lines += [
            "",
            f"{case['title'].capitalize()}: {len(rounds[BASELINE])} rounds of {case['steps']} "
            f"steps, rows every {case['eval_every']}, one checkpoint; {1e3 * bare:.2f} ms of CPU "
            "time a step by hand.",
            "",
            "| | CPU time | wall | CPU time with evaluations | wall with evaluations |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for name, (title, _) in CONTENDERS.items():
            if name != BASELINE:
                cells = [
                    f"{overhead(rounds, name, clock, evaluated):+.1f} %".replace("-", "−")
                    for evaluated in (False, True)
                    for clock in ("cpu", "wall")
                ]
                lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, unless only the table is wanted, and write record and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--scratch", type=Path, help="where files are written, and removed")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    random.seed(0)
    if not given.table:
        record = record_of(CASES, given.rounds, given.scratch or Path(tempfile.gettempdir()))
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    record = json.loads(RECORD.read_text())
    PAGE.write_text(filled(PAGE.read_text(), BEGIN, END, table(record)))
    print(table(record))


if __name__ == "__main__":
    main()
