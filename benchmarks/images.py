"""Images a second of the lab's loop on the paper's CIFAR networks, against a bare loop.

Candidates take turns in one process, in shuffled rounds, on the same network, batches and
optimizer, one thread; weights at the end must be equal to the last bit, or nothing is written.
Beside it: what making a batch costs, and what each optimizer's step costs of the whole. The images
are the embedded ones in CIFAR's shape: pixels make no difference to speed. Writes
results/benchmarks/images.json and the tables of docs/images.md.

    python -m benchmarks.images [--rounds 15] [--networks vgg11 ...] [--sizes reduced full]
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from adabelief_lab.bench.harness import (
    Benchmark,
    Record,
    Table,
    conditions,
    interleaved,
    paired,
    timed,
)
from adabelief_lab.common.rng import generator, seed
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.declare.study import Run
from adabelief_lab.declare.workload import Task, Workload
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.run.timing import OptimizerClock
from adabelief_lab.run.train import _set_lr
from adabelief_lab.run.validate import loss_of
from adabelief_lab.tasks.augment import CropAndFlip
from adabelief_lab.tasks.supervised import Supervised
from adabelief_lab.workloads.cifar import load_splits, prepared
from adabelief_lab.workloads.load import load_workload
from benchmarks import DOCS, RECORDS
from benchmarks.costs import begun, same_weights, shares_table, sized

CPU = torch.device("cpu")
NETWORKS = ("vgg11", "resnet34", "densenet121")
# (reduced, batch size, steps of a turn of a second or two). Full networks get small batches, which
# makes the lab's part look larger.
SIZES = {"reduced": (True, 128, 6), "full": (False, 16, 2)}


class Case(NamedTuple):
    """A network, at the paper's size or reduced as in preset quick."""

    workload: str
    reduced: bool
    batch_size: int
    steps: int

    @property
    def loaded(self) -> Workload:
        """The workload itself."""
        return load_workload(self.workload).workload

    @property
    def title(self) -> str:
        """As the page calls it."""
        size = "reduced" if self.reduced else "the paper's size"
        return f"{self.loaded.title}, {size}"

    def run(self, spec: OptimizerSpec) -> Run:
        """That optimizer's run at that size."""
        study = declare(load_workload(self.workload), "smoke", published(self.loaded))
        changed = {"reduced": self.reduced, "hold_out": False, "batch_size": self.batch_size}
        options = {**study.settings.options, **changed}
        return sized(study, spec.name, spec.published, steps=self.steps, options=options)


def by_hand(run: Run, task: Task, optimizer: Optimizer) -> None:
    """What one writes without the lab."""
    model = task.modules["model"]
    images, labels = load_splits("embedded", hold_out=False)[0]["train"]
    size, augment = run.options["batch_size"], CropAndFlip(4)
    for index in range(run.steps):
        epoch, place = divmod(index, len(images) // size)
        if place == 0:
            order = torch.randperm(len(images), generator=generator(run.data_seed, 0, epoch))
        chosen = order[place * size : (place + 1) * size]
        batch = augment(images[chosen], generator(run.data_seed, 1, index))
        for group in optimizer.param_groups:
            group["lr"] = run.hyperparameters["lr"] * run.schedule.factor(index, run.steps)
        optimizer.zero_grad()
        loss = cross_entropy(model(prepared(batch, CPU)), labels[chosen])
        loss.backward()
        optimizer.step()
        loss.item()


def lab(run: Run, task: Task, optimizer: Optimizer) -> None:
    """The lab's steps; rows and checkpoints are in docs/scaling.md."""
    workload, optimizers = load_workload(run.workload).workload, {"model": optimizer}
    for index in range(run.steps):
        _set_lr(optimizers, run, index)
        loss_of(workload, task.step(index, optimizers))


CANDIDATES: Mapping[str, Callable[[Run, Task, Optimizer], None]] = {"bare": by_hand, "lab": lab}


def loops(case: Case, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every candidate in every round."""
    run = case.run(published(case.loaded)[0])
    kept: dict[str, Tensor] = {}

    def candidate(name: str) -> Callable[[int], float]:
        def seconds(number: int) -> float:
            task, optimizer = begun(run, case.loaded)
            seed(run.init_seed)  # dropout
            took = timed(lambda _: CANDIDATES[name](run, task, optimizer))(number)
            same_weights(name, task, kept, "")
            return took

        return seconds

    return interleaved({name: candidate(name) for name in CANDIDATES}, rounds)


def parts(case: Case, rounds: int) -> dict[str, dict[str, float]]:
    """For each optimizer: median seconds of a batch, of the optimizer's step, of all of a step."""

    def candidate(spec: OptimizerSpec) -> Callable[[int], tuple[float, float, float]]:
        task, optimizer = begun(case.run(spec), case.loaded)
        clock = OptimizerClock([optimizer])
        assert isinstance(task, Supervised)

        def seconds(number: int) -> tuple[float, float, float]:
            before, start = clock.seconds, time.perf_counter()
            task.batch(number)
            made = time.perf_counter()
            task.step(number, {"model": optimizer})
            return made - start, clock.seconds - before, time.perf_counter() - made

        return seconds

    specs = published(case.loaded)
    found = interleaved({spec.name: candidate(spec) for spec in specs}, rounds)
    names = ("batch", "optimizer", "all")
    return {
        name: dict(zip(names, map(statistics.median, zip(*own, strict=True)), strict=True))
        for name, own in found.items()
    }


def measure(given: Namespace) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    cases = [Case(f"cifar10-{n}", *SIZES[size]) for size in given.sizes for n in given.networks]
    return {
        "cases": [
            {**case._asdict(), "title": case.title, "loops": loops(case, given.rounds),
             "parts": parts(case, max(3, given.rounds // 3))}
            for case in cases
        ]
    }  # fmt: skip


def speed(record: Record) -> str:
    """Images a second of the bare loop, and of the lab."""
    rows = []
    for case in record["cases"]:
        bare, ours = case["loops"]["bare"], case["loops"]["lab"]
        images = case["batch_size"] * case["steps"] / statistics.median(bare)
        share = statistics.median(own["batch"] / own["all"] for own in case["parts"].values())
        rows.append((
            case["title"], str(case["batch_size"]), f"{images:.0f}",
            f"{100 * paired(bare, ours).median:.1f} %", str(len(bare)), f"{100 * share:.1f} %",
        ))  # fmt: skip
    heads = (
        "network", "batch", "images a second, bare", "the lab's, of that", "rounds", "batch making",
    )  # fmt: skip
    return f"{conditions(record, 'CPU time')}\n\n{Table(heads, rows)}"


def optimizers(record: Record) -> str:
    """Each optimizer's share."""
    columns = {
        f"{case['title']}, {case['batch_size']}": {
            name: own["optimizer"] / own["all"] for name, own in case["parts"].items()
        }
        for case in record["cases"]
    }
    return shares_table(columns, published(load_workload("cifar10-vgg11").workload))


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "images.json",
    DOCS / "images.md",
    {"speed": speed, "optimizers": optimizers},
    measure,
    {"rounds": 15, "networks": NETWORKS, "sizes": tuple(SIZES)},
)

if __name__ == "__main__":
    BENCHMARK.command()
