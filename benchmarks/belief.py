"""What a look at the belief costs beside the steps between two looks.

Steps of the optimizer and looks of `BeliefLogger` take turns in one process, in shuffled rounds, on
the same parameters. The table shows the median over rounds of the look's CPU time divided by a
hundred times the step's. Writes results/benchmarks/belief.json and its table in docs/inspect.md.

    python -m benchmarks.belief [--rounds 40]
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from adabelief import AdaBelief
from adabelief.diagnostics import BeliefLogger
from adabelief_lab.bench.harness import (
    Benchmark,
    Record,
    Table,
    conditions,
    interleaved,
    paired,
    timed,
)
from adabelief_lab.bench.models import model
from benchmarks import DOCS, RECORDS

MODELS = ("resnet34", "densenet121", "gpt2")
EVERY = 100  # steps between two looks, BeliefLogger's default


def seconds(name: str, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of steps and of looks."""
    params = [nn.Parameter(torch.randn(shape) / 10) for shape in model(name).shapes]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizer = AdaBelief(params)
    logger = BeliefLogger(optimizer, lambda numbers, step: None, every=1)
    logger.close()  # it is called here, not by the optimizer
    optimizer.step()  # the state that is looked at
    work = {"step": lambda _: optimizer.step(), "look": lambda _: logger._look(optimizer)}
    return interleaved({part: timed(do) for part, do in work.items()}, rounds, warm_up=2)


def measure(given: Namespace) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    models: Sequence[str] = given.models
    return {"seconds": {name: seconds(name, given.rounds) for name in models}}


def table(record: Record) -> str:
    """What a step and a look cost, on each model."""
    rows, rounds = [], 0
    for name, own in record["seconds"].items():
        rounds = len(own["step"])
        step, look = (f"{1e3 * statistics.median(own[part]):.1f} ms" for part in ("step", "look"))
        share = 100 * paired(own["look"], own["step"]).median / EVERY
        rows.append((model(name).title, step, look, f"{share:.2f} %"))
    heads = ("parameters of", "a step", "a look", f"of {EVERY} steps")
    facts = conditions(record, "CPU time", f"medians of {rounds} rounds")
    return f"{facts}\n\n{Table(heads, rows)}"


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "belief.json",
    DOCS / "inspect.md",
    {"belief": table},
    measure,
    {"rounds": 40, "models": MODELS},
)

if __name__ == "__main__":
    BENCHMARK.command()
