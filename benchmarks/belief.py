"""What a look at the belief costs beside the steps between two looks.

Steps of the optimizer and looks of `BeliefLogger` take turns in one process, in shuffled rounds, on
the same parameters. Reported is the median over rounds of the look's CPU time divided by a hundred
times the step's. Writes docs/belief.json and its table in docs/inspect.md.

    python -m benchmarks.belief [--rounds 40]
    python -m benchmarks.belief --table    # only writes the table anew, from the record
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from benchmarks.marked import filled
from torch import nn

from adabelief import AdaBelief
from adabelief.diagnostics import BeliefLogger
from adabelief_lab.bench.models import model
from adabelief_lab.common.environment import environment

DOCS = Path(__file__).parent.parent / "docs"
RECORD, PAGE = DOCS / "belief.json", DOCS / "inspect.md"
BEGIN, END = "<!-- written by benchmarks/belief.py -->", "<!-- to here -->"
MODELS = ("resnet34", "densenet121", "gpt2")
EVERY = 100  # steps between two looks, BeliefLogger's default


def measure(name: str, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of steps and of looks."""
    params = [nn.Parameter(torch.randn(shape) / 10) for shape in model(name).shapes]
    for param in params:
        param.grad = torch.randn_like(param)
    optimizer = AdaBelief(params)
    for _ in range(3):
        optimizer.step()
    logger = BeliefLogger(optimizer, lambda numbers, step: None, every=1)
    logger.close()  # it is called here, not by the optimizer

    def look() -> None:
        logger._look(optimizer)

    work: dict[str, Callable[[], Any]] = {"step": optimizer.step, "look": look}
    look()
    found: dict[str, list[float]] = {part: [] for part in work}
    for _ in range(rounds):
        for part in random.sample(list(work), len(work)):
            start = time.process_time()
            work[part]()
            found[part].append(time.process_time() - start)
    return found


def percent(seconds: Mapping[str, list[float]]) -> float:
    """Of `EVERY` steps, the median over rounds."""
    pairs = zip(seconds["look"], seconds["step"], strict=True)
    return 100 * statistics.median(look / (EVERY * step) for look, step in pairs)


def table(record: Mapping[str, Any]) -> str:
    """The table in Markdown."""
    machine = record["machine"]
    lines = [
        f"torch {machine['torch']}, {machine['processor']}, one thread, CPU time, medians of "
        f"{len(record['seconds'][MODELS[0]]['step'])} rounds.",
        "",
        "| parameters of | a step | a look | of 100 steps |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, seconds in record["seconds"].items():
        step, look = (1e3 * statistics.median(seconds[part]) for part in ("step", "look"))
        lines.append(
            f"| {model(name).title} | {step:.1f} ms | {look:.1f} ms | {percent(seconds):.2f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, unless only the table is wanted, and write record and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if not given.table:
        torch.set_num_threads(1)
        seconds = {name: measure(name, given.rounds) for name in MODELS}
        record = {"machine": environment(), "seconds": seconds}
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    record = json.loads(RECORD.read_text())
    PAGE.write_text(filled(PAGE.read_text(), BEGIN, END, table(record)))
    print(table(record))


if __name__ == "__main__":
    main()
