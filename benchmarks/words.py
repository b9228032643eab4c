"""Words a second of the lab's LSTM at the paper's size, against torch.nn.LSTM without ornaments.

Candidates take turns in one process, in shuffled rounds, on the same words with the same optimizer,
one thread: a bare loop over torch.nn.LSTM, and the lab's step without any dropout, with all of the
recipe but weight drop, and with all of it. Beside it: what each optimizer's step costs of the
whole. The text is the embedded one; its vocabulary is as large as the Penn Treebank's. Writes
results/benchmarks/words.json and the tables of docs/words.md.

    python -m benchmarks.words [--rounds 8] [--layers 1 2 3]
"""

from __future__ import annotations

import itertools
import statistics
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from adabelief_lab.bench.harness import Benchmark, Record, Table, conditions, paired
from adabelief_lab.common.rng import seed
from adabelief_lab.declare.workload import Preset
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.tasks.lstm_lm import LSTMLanguageModel
from adabelief_lab.workloads.load import load_workload
from adabelief_lab.workloads.words import build
from benchmarks import DOCS, RECORDS
from benchmarks.costs import compared, made, shares_table

LAYERS = (1, 2, 3)
LENGTH, COLUMNS = 70, 20
CLIP = 0.25
NONE = {f"drop_{name}": 0.0 for name in ("words", "inputs", "hidden", "output", "recurrent")}
# Options of the lab's candidates; the first does what torch.nn.LSTM does.
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
    """The optimizers that are compared at that depth; AdaBelief is the first."""
    return load_workload(f"ptb-lstm{layers}").workload.published


def by_hand(layers: int) -> Callable[[int], Any]:
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


def lab(layers: int, options: Mapping[str, float]) -> Callable[[int], Any]:
    """A step of the lab."""
    task = task_of(layers, options)
    optimizers = {"model": made(specs_of(layers)[0], task.modules["model"])}
    return lambda index: task.step(index, optimizers)["loss"].item()


def measure(given: Namespace) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    seed(0)
    cases = []
    for layers in given.layers:
        steps = {PLAIN: by_hand(layers)}
        steps |= {name: lab(layers, options) for name, options in OURS.items()}
        found = compared(steps, task_of(layers, {}), specs_of(layers), given.rounds)
        cases.append({"layers": layers, **found})
    return {"cases": cases}


def speed(record: Record) -> str:
    """Words a second, and what the lab and its recipe cost."""
    rows = []
    for case in record["cases"]:
        times = case["speeds"]
        of = (f"{100 * paired(times[PLAIN], times[name]).median:.1f} %" for name in OURS)
        drop = 100 * (1 - paired(times["all but weight drop"], times["the recipe"]).median)
        words = LENGTH * COLUMNS / statistics.median(times[PLAIN])
        rows.append((str(case["layers"]), f"{words:.0f}", *of, f"{drop:.1f} %"))
    heads = (
        "layers", f"words a second, {PLAIN}", *(f"{name}, of that" for name in OURS),
        "weight drop, of the recipe's time",
    )  # fmt: skip
    rounds = len(record["cases"][0]["speeds"][PLAIN])
    facts = conditions(record, "CPU time", f"{rounds} rounds")
    return f"{facts}\n\n{Table(heads, rows, text=())}"


def optimizers(record: Record) -> str:
    """Each optimizer's share."""
    columns = {f"{case['layers']} layer{'s' if case['layers'] > 1 else ''}": case["shares"]
               for case in record["cases"]}  # fmt: skip
    return shares_table(columns, specs_of(max(LAYERS)))


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "words.json",
    DOCS / "words.md",
    {"speed": speed, "optimizers": optimizers},
    measure,
    {"rounds": 8, "layers": LAYERS},
)

if __name__ == "__main__":
    BENCHMARK.command()
