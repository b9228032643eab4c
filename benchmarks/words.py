"""Words a second of the lab's LSTM at the paper's size, against torch.nn.LSTM without ornaments.

Contenders take turns in one process, in shuffled rounds, on the same words with the same optimizer,
one thread: a bare loop over torch.nn.LSTM, and the lab's step without any dropout, with all of the
recipe but weight drop, and with all of it. Beside it: what each optimizer's step costs of the
whole. The text is the embedded one; its vocabulary is as large as the Penn Treebank's. Writes
docs/words.json and docs/words.md.

    python -m benchmarks.words [--rounds 8]
    python -m benchmarks.words --table    # only writes the page anew, from the record
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from benchmarks.costs import Step, made, shares, shares_table, turns
from benchmarks.page import command
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from adabelief_lab.common.environment import environment
from adabelief_lab.common.rng import seed
from adabelief_lab.declare.workload import Preset
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.tasks.lstm_lm import LSTMLanguageModel
from adabelief_lab.workloads.load import load_workload
from adabelief_lab.workloads.words import build

RECORD = Path(__file__).parent.parent / "docs" / "words.json"
LAYERS = (1, 2, 3)
LENGTH, COLUMNS = 70, 20
CLIP = 0.25
NONE = {f"drop_{name}": 0.0 for name in ("words", "inputs", "hidden", "output", "recurrent")}
# Options of the lab's contenders; the first is what torch.nn.LSTM does.
OURS: Mapping[str, Mapping[str, float]] = {
    "no dropout": {**NONE, "activation": 0.0, "slowness": 0.0},
    "all but weight drop": {"drop_recurrent": 0.0},
    "the recipe": {},
}
PLAIN = "torch.nn.LSTM"


class Plain(nn.Module):
    """What one writes with torch.nn.LSTM: the same layers, tied, nothing dropped."""

    def __init__(self, vocabulary: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 400)
        widths = [400, *[1150] * (layers - 1), 400]
        self.layers = nn.ModuleList(nn.LSTM(*pair) for pair in itertools.pairwise(widths))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, words: Tensor, memory: list[Any]) -> tuple[Tensor, list[Any]]:
        """Logits of (length, columns) words, and the memory after them."""
        x, after = self.embedding(words), []
        for layer, before in zip(self.layers, memory, strict=True):
            x, state = layer(x, before)
            after.append(tuple(each.detach() for each in state))
        return linear(x, self.embedding.weight, self.bias), after


def task_of(layers: int, options: Mapping[str, float]) -> LSTMLanguageModel:
    """The lab's task; every piece has the same length, so that words can be counted."""
    sized = {"text": "sotu", "layers": layers, "length": LENGTH, "batch_size": COLUMNS, **options}
    task = build(Preset(steps=1, eval_every=1, trials=1, seeds=1, options=sized), 0, 0)
    task._varied = False
    task._pieces._varied = False
    return task


def specs_of(layers: int) -> tuple[OptimizerSpec, ...]:
    """Who is compared at that depth; AdaBelief is the first."""
    return load_workload(f"ptb-lstm{layers}").workload.published


def by_hand(layers: int) -> Step:
    """A step of a bare loop."""
    task = task_of(layers, {})
    model = Plain(task._model.bias.numel(), layers)
    optimizer = made(specs_of(layers)[0], model)

    memory: list[Any] = [None] * layers

    def step(index: int) -> None:
        words, after = task.batch(index)
        optimizer.zero_grad()
        logits, memory[:] = model(words, memory)
        loss = cross_entropy(logits.flatten(0, 1), after.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        loss.item()

    return step


def lab(layers: int, options: Mapping[str, float]) -> Step:
    """A step of the lab."""
    task = task_of(layers, options)
    optimizers = {"model": made(specs_of(layers)[0], task.modules["model"])}

    def step(index: int) -> None:
        task.step(index, optimizers)["loss"].item()

    return step


def contenders(layers: int) -> dict[str, Step]:
    """The bare loop, and the lab's ways."""
    return {
        PLAIN: by_hand(layers),
        **{name: lab(layers, options) for name, options in OURS.items()},
    }


def record_of(rounds: int) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    load_average = os.getloadavg()[0]
    seed(0)
    cases = [
        {
            "layers": layers,
            "speeds": turns(contenders(layers), rounds),
            "shares": shares(task_of(layers, {}), specs_of(layers), max(2, rounds // 4)),
        }
        for layers in LAYERS
    ]
    return {"machine": environment(), "load_average": load_average, "cases": cases}


def ratio(case: Mapping[str, Any], above: str, below: str) -> float:
    """Median over rounds of the time of one, divided by the time of another."""
    pairs = zip(case["speeds"][above], case["speeds"][below], strict=True)
    return statistics.median(a / b for a, b in pairs)


def _counted(layers: int) -> str:
    return f"{layers} layer{'s' if layers > 1 else ''}"


def page(record: Mapping[str, Any]) -> str:
    """The tables in Markdown."""
    facts, cases = record["machine"], record["cases"]
    rounds = len(cases[0]["speeds"][PLAIN])
    lines = [
        "# The lab's LSTM beside torch.nn.LSTM",
        "",
        f"Written by `make words` from [words.json](words.json): torch {facts['torch']}, "
        f"{facts['processor']}, {facts['threads']} thread, CPU time, {rounds} rounds; load average "
        f"{record['load_average']:.1f} at the beginning. {COLUMNS} columns, {LENGTH} words a step, "
        "the paper's widths, with AdaBelief. No GPU was here.",
        "",
        f"| layers | words a second, {PLAIN} | "
        + " | ".join(f"{name}, of that" for name in OURS)
        + " | weight drop, of the recipe's time |",
        "| ---: |" + " ---: |" * (len(OURS) + 2),
    ]
    for case in cases:
        plain = statistics.median(case["speeds"][PLAIN])
        of = " | ".join(f"{100 * ratio(case, PLAIN, name):.1f} %" for name in OURS)
        drop = 100 * (1 - ratio(case, "all but weight drop", "the recipe"))
        lines.append(f"| {case['layers']} | {LENGTH * COLUMNS / plain:.0f} | {of} | {drop:.1f} % |")
    lines += [
        "",
        "The optimizer's step, in percent of the time of a whole step of the recipe:",
        "",
    ]
    labels = {spec.name: spec.label for spec in specs_of(max(LAYERS))}
    lines += shares_table({_counted(case["layers"]): case["shares"] for case in cases}, labels)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command(__doc__, 8, record_of, page, RECORD)
