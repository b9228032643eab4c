"""What training steps cost: contenders in turns, and each optimizer's share of a step."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from torch import nn
from torch.optim import Optimizer

from adabelief_lab.declare.workload import Task
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.run.timing import OptimizerClock

WARM_UP = 1
Step = Callable[[int], None]


def made(spec: OptimizerSpec, model: nn.Module) -> Optimizer:
    """Its optimizer, with what is published."""
    arguments = spec.arguments(spec.published)
    return make_declared_optimizer(spec, model.parameters(), arguments)


def turns(contenders: Mapping[str, Step], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every contender in every round, whose order is drawn."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + WARM_UP):
        for name in random.sample(list(contenders), len(contenders)):
            gc.collect()
            start = time.process_time()
            contenders[name](number)
            if number >= WARM_UP:
                found[name].append(time.process_time() - start)
    return found


def shares(task: Task, specs: Sequence[OptimizerSpec], rounds: int) -> dict[str, float]:
    """For each optimizer, the median of its steps' share of the time of a whole one."""
    found = {}
    for spec in specs:
        optimizers = {name: made(spec, module) for name, module in task.modules.items()}
        clock = OptimizerClock(optimizers.values())
        own = []
        for number in range(rounds + WARM_UP):
            before, start = clock.seconds, time.perf_counter()
            task.step(number, optimizers)
            if number >= WARM_UP:
                own.append((clock.seconds - before) / (time.perf_counter() - start))
        found[spec.name] = statistics.median(own)
    return found


def shares_table(shown: Mapping[str, Mapping[str, float]], labels: Mapping[str, str]) -> list[str]:
    """Shares in percent, a column for each case of `shown`, in lines of Markdown."""
    lines = ["| optimizer | " + " | ".join(shown) + " |", "| --- |" + " ---: |" * len(shown)]
    for name, label in labels.items():
        told = (own.get(name) for own in shown.values())
        row = " | ".join("–" if each is None else f"{100 * each:.1f}" for each in told)
        lines.append(f"| {label} | {row} |")
    return lines
