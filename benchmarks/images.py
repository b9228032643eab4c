"""Images a second of the lab's loop on the paper's CIFAR networks, against a bare loop.

Contenders take turns in one process, in shuffled rounds, on the same network, batches and
optimizer, one thread; weights at the end must be equal to the last bit, or nothing is written.
Beside it: what making a batch costs, and what each optimizer's step costs of the whole. The images
    are
the embedded ones in CIFAR's shape: pixels make no difference to speed. Writes docs/images.json and
docs/images.md.

    python -m benchmarks.images [--rounds 15]
    python -m benchmarks.images --table    # only writes the page anew, from the record
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from benchmarks.page import command
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from adabelief_lab.common.environment import environment
from adabelief_lab.common.rng import generator, seed
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.declare.study import Run
from adabelief_lab.declare.workload import Task
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.run.timing import OptimizerClock
from adabelief_lab.run.train import _set_lr
from adabelief_lab.run.validate import build, loss_of
from adabelief_lab.tasks.augment import CropAndFlip
from adabelief_lab.tasks.supervised import Supervised
from adabelief_lab.workloads.cifar import load_splits, prepared
from adabelief_lab.workloads.load import load_workload

RECORD = Path(__file__).parent.parent / "docs" / "images.json"
CPU = torch.device("cpu")


class Case(NamedTuple):
    """A network, at the paper's size or reduced as in preset quick."""

    workload: str
    reduced: bool
    batch_size: int
    steps: int

    @property
    def title(self) -> str:
        """As the page calls it."""
        size = "reduced" if self.reduced else "the paper's size"
        return f"{load_workload(self.workload).workload.title}, {size}"


NETWORKS = ("vgg11", "resnet34", "densenet121")
# A turn of a second or two: full networks get small batches, which makes our part look larger.
CASES = (
    *(Case(f"cifar10-{name}", True, 128, 6) for name in NETWORKS),
    *(Case(f"cifar10-{name}", False, 16, 2) for name in NETWORKS),
)
WARM_UP = 1


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


CONTENDERS: Mapping[str, Callable[[Run, Task, Optimizer], None]] = {"bare": by_hand, "lab": lab}


def run_of(case: Case, spec: OptimizerSpec) -> Run:
    """That optimizer's run at that size."""
    loaded = load_workload(case.workload)
    study = declare(loaded, "smoke", published(loaded.workload))
    options = {
        **study.settings.options, "reduced": case.reduced, "hold_out": False,
        "batch_size": case.batch_size,
    }  # fmt: skip
    sized = study.settings.model_copy(update={"steps": case.steps, "options": options})
    study = study.model_copy(update={"settings": sized})
    return study.final_runs(study.optimizer(spec.name), spec.published)[0]


def begun(run: Run) -> tuple[Task, Optimizer]:
    """The task and its optimizer."""
    task = build(load_workload(run.workload).workload, run)
    params = task.modules["model"].parameters()
    return task, make_declared_optimizer(run, params, run.hyperparameters)


def loops(case: Case, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every contender in every round."""
    run = run_of(case, published(load_workload(case.workload).workload)[0])
    found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    weights: Tensor | None = None
    for number in range(rounds + WARM_UP):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            task, optimizer = begun(run)
            seed(run.init_seed)  # dropout
            gc.collect()
            start = time.process_time()
            CONTENDERS[name](run, task, optimizer)
            seconds = time.process_time() - start
            ended = torch.cat([p.detach().flatten() for p in task.modules["model"].parameters()])
            weights = ended if weights is None else weights
            if not torch.equal(ended, weights):
                sys.exit(f"{name} did not train the same: the times mean nothing")
            if number >= WARM_UP:
                found[name].append(seconds)
    return found


def parts(case: Case, rounds: int) -> dict[str, dict[str, float]]:
    """For each optimizer: median seconds of a batch, of the optimizer's step, of all of a step."""
    specs = published(load_workload(case.workload).workload)
    tasks = {spec.name: begun(run_of(case, spec)) for spec in specs}
    times: dict[str, dict[str, list[float]]] = {
        name: {"batch": [], "optimizer": [], "all": []} for name in tasks
    }
    clocks = {name: OptimizerClock([optimizer]) for name, (_, optimizer) in tasks.items()}
    for number in range(rounds + WARM_UP):
        for name in random.sample(list(tasks), len(tasks)):
            task, optimizer = tasks[name]
            assert isinstance(task, Supervised)
            before, start = clocks[name].seconds, time.perf_counter()
            task.batch(number)
            made = time.perf_counter()
            task.step(number, {"model": optimizer})
            ended = time.perf_counter()
            if number >= WARM_UP:
                times[name]["batch"].append(made - start)
                times[name]["optimizer"].append(clocks[name].seconds - before)
                times[name]["all"].append(ended - made)
    return {
        name: {part: statistics.median(seconds) for part, seconds in own.items()}
        for name, own in times.items()
    }


def record_of(rounds: int) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    load_average = os.getloadavg()[0]
    cases = [
        {**case._asdict(), "title": case.title, "loops": loops(case, rounds),
         "parts": parts(case, max(3, rounds // 3))}
        for case in CASES
    ]  # fmt: skip
    return {"machine": environment(), "load_average": load_average, "cases": cases}


def page(record: Mapping[str, Any]) -> str:
    """The tables in Markdown."""
    facts, cases = record["machine"], record["cases"]
    labels = {each.name: each.label for each in published(load_workload("cifar10-vgg11").workload)}
    lines = [
        "# The lab's loop on the paper's CIFAR networks",
        "",
        "Written by `python -m benchmarks.images` from [images.json](images.json): torch "
        f"{facts['torch']}, {facts['processor']}, {facts['threads']} thread, CPU time; load "
        f"average {record['load_average']:.1f} at the beginning. No GPU was here: copying bytes "
        "and making batches on one is not measured.",
        "",
        "| network | batch | images a second, bare | the lab's, of that | rounds | batch making |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in cases:
        bare = case["loops"]["bare"]
        ratio = statistics.median(b / a for a, b in zip(case["loops"]["lab"], bare, strict=True))
        images = case["batch_size"] * case["steps"] / statistics.median(bare)
        share = statistics.median(own["batch"] / own["all"] for own in case["parts"].values())
        lines.append(
            f"| {case['title']} | {case['batch_size']} | {images:.0f} | {100 * ratio:.1f} % | "
            f"{len(bare)} | {100 * share:.1f} % |"
        )
    lines += [
        "",
        "Batch making: drawing, cropping, mirroring and standardising, of the time of a step.",
        "",
        "The optimizer's step, in percent of the time of a whole step:",
        "",
        "| optimizer | " + " | ".join(f"{case['title']}, {case['batch_size']}" for case in cases)
        + " |",
        "| --- |" + " ---: |" * len(cases),
    ]  # fmt: skip
    for name, label in labels.items():
        shares = [100 * each["parts"][name]["optimizer"] / each["parts"][name]["all"]
                  for each in cases]  # fmt: skip
        lines.append(f"| {label} | " + " | ".join(f"{share:.1f}" for share in shares) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command(__doc__, 15, record_of, page, RECORD)
