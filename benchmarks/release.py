"""What gradient release saves: time of a whole iteration, and peak memory.

Every contender trains in a fresh process of its own and waits while another one works: they take
turns, iteration by iteration, in shuffled order. Reported are medians of the ratios within a round,
because absolute times mean nothing on a shared machine. All is done twice, with malloc as it is and
with one that gives large tensors back at once. Writes docs/release.json and the table in
docs/release.md.

    python -m benchmarks.release [--rounds 40] [--repeats 3] [--threads 1]
    python -m benchmarks.release --table    # only writes the table anew, from the record
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from benchmarks.marked import filled
from torch import Tensor, nn

from adabelief import AdaBelief, release_gradients
from adabelief_lab.common.environment import environment

DOCS = Path(__file__).parent.parent / "docs"
RECORD, PAGE = DOCS / "release.json", DOCS / "release.md"
BEGIN, END = "<!-- written by benchmarks/release.py -->", "<!-- to here -->"
WARM_UP = 3
# glibc keeps what was freed, for whoever fits into the holes. With the threshold, every tensor of a
# MiB or more has pages of its own, which go back when it is freed and cost time to get anew.
MALLOCS = {"as it is": {}, "mapped": {"MALLOC_MMAP_THRESHOLD_": str(2**20)}}
MIB = 2**20
LR = 1e-5  # hundreds of iterations must not end in numbers that are slow or not finite


def layers() -> tuple[nn.Module, Tensor]:
    """24 × Linear(1024, 1024), batch 32: the weights' bytes outweigh the arithmetic."""
    parts: list[nn.Module] = []
    for _ in range(24):
        linear = nn.Linear(1024, 1024)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")  # no gradient vanishes
        parts += [linear, nn.ReLU()]
    return nn.Sequential(*parts), torch.randn(32, 1024)


def convolutions() -> tuple[nn.Module, Tensor]:
    """Six convolutions and batch norms at 32 × 32, batch 16: arithmetic outweighs the weights."""
    parts: list[nn.Module] = []
    widths = (3, 32, 32, 64, 64, 128, 128)
    for before, after in pairwise(widths):
        stride = 1 if after == before else 2
        parts += [
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(10)), torch.randn(16, 3, 32, 32)


MODELS: Mapping[str, tuple[str, Callable[[], tuple[nn.Module, Tensor]]]] = {
    "layers": ("24 × Linear(1024, 1024), batch 32", layers),
    "convolutions": ("6 × Conv2d, BatchNorm2d, 32 × 32 pixels, batch 16", convolutions),
}


def after_backward(
    model: nn.Module, make: Callable[..., torch.optim.Optimizer]
) -> Callable[[], None]:
    """The usual loop: all gradients, then the step, then all gradients are freed."""
    optimizer = make(model.parameters())

    def step() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return step


def adam(model: nn.Module) -> Callable[[], None]:
    """The baseline."""
    return after_backward(model, lambda params: torch.optim.Adam(params, lr=LR, fused=True))


def adabelief(model: nn.Module) -> Callable[[], None]:
    """Ours, as it comes."""
    return after_backward(model, lambda params: AdaBelief(params, lr=LR))


def released(model: nn.Module) -> Callable[[], None]:
    """Ours, in backward."""
    optimizer = AdaBelief(model.parameters(), lr=LR)
    release_gradients(model, optimizer)
    return optimizer.step


def adam_in_hooks(model: nn.Module) -> Callable[[], None]:
    """An Adam for each parameter, stepped as torch's tutorial does."""
    optimizers: dict[Tensor, torch.optim.Adam] = {
        param: torch.optim.Adam([param], lr=LR, fused=True) for param in model.parameters()
    }

    def hook(param: Tensor) -> None:
        optimizers[param].step()
        optimizers[param].zero_grad()

    for param in model.parameters():
        param.register_post_accumulate_grad_hook(hook)
    return lambda: None


def backward_only(model: nn.Module) -> Callable[[], None]:
    """Frees the gradients and trains nothing."""
    return model.zero_grad


# Name in the record: (title, what follows backward).
CONTENDERS: Mapping[str, tuple[str, Callable[[nn.Module], Callable[[], None]]]] = {
    "adam": ("torch Adam, fused, after backward", adam),
    "adam in hooks": ("torch Adam, fused, one for each parameter in hooks", adam_in_hooks),
    "adabelief": ("AdaBelief after backward", adabelief),
    "released": ("AdaBelief, gradients released", released),
    "backward": ("no optimizer: forward and backward", backward_only),
}
BASELINE = "adam"


def resident(key: str) -> int:
    """Bytes, from Linux's account of this process: VmRSS is now, VmHWM the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def work(pipe: Connection, model_name: str, contender: str, threads: int) -> None:
    """A contender's process: an iteration and its time at each message, at the end the peak."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    first = nn.Linear(1, 1)
    finish = CONTENDERS[contender][1](first)  # imports what it imports
    first(torch.ones(1)).backward()
    finish()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    model, inputs = MODELS[model_name][1]()
    model(inputs)  # lazy layers
    finish = CONTENDERS[contender][1](model)
    clock = time.process_time if threads == 1 else time.perf_counter

    def iterate() -> float:
        start = clock()
        loss = model(inputs).square().mean()
        loss.backward()
        finish()
        if not torch.isfinite(loss):
            msg = f"{contender} diverged: the times mean nothing"
            raise RuntimeError(msg)
        return clock() - start

    for _ in range(WARM_UP):
        iterate()
    pipe.send(None)
    while pipe.recv():
        pipe.send(iterate())
    peak = resident("VmHWM") - before
    pipe.send({"peak": peak, "live": live(iterate)})


def live(iterate: Callable[[], float]) -> int:
    """Most bytes of tensors that one iteration has at once, beside what was there before it."""
    with torch.profiler.profile(profile_memory=True) as profile:
        iterate()
    results = profile.profiler.kineto_results if profile.profiler else None
    changes = [e.nbytes() for e in results.events() if e.name() == "[memory]"] if results else []
    return max(accumulate(changes), default=0)


def race(
    model: str, rounds: int, threads: int, malloc: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Times of every round and memory of each contender, in processes that take turns."""
    os.environ.update(malloc)
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Any] = {}
    processes = []
    for name in CONTENDERS:
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(theirs, model, name, threads)))
        processes[-1].start()
        theirs.close()  # so that the end of the process ends our waiting
        pipes[name].recv()  # warmed up
    found: dict[str, dict[str, Any]] = {name: {"seconds": []} for name in CONTENDERS}
    for _ in range(rounds):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            pipes[name].send(True)
            found[name]["seconds"].append(pipes[name].recv())
    for name, pipe in pipes.items():
        pipe.send(False)
        found[name].update(pipe.recv())
    for process in processes:
        process.join()
    for key in malloc:
        del os.environ[key]
    return found


def measure(rounds: int, repeats: int, threads: int) -> dict[str, Any]:
    """The record: all times and peaks of all repetitions."""
    return {
        "machine": {**environment(), "threads": threads},
        "clock": "processor" if threads == 1 else "wall",
        "models": {
            model: {
                name: [race(model, rounds, threads, malloc) for _ in range(repeats)]
                for name, malloc in MALLOCS.items()
            }
            for model in MODELS
        },
    }


Races = list[dict[str, dict[str, Any]]]


def ratio(races: Races, name: str) -> float:
    """Median over all rounds of this contender's time divided by the baseline's."""
    return statistics.median(
        seconds / base
        for race in races
        for seconds, base in zip(race[name]["seconds"], race[BASELINE]["seconds"], strict=True)
    )


def mebibytes(races: Races, name: str, what: str) -> float:
    """Median over the processes."""
    return statistics.median(race[name][what] for race in races) / MIB


def table(record: dict[str, Any]) -> str:
    """The tables in Markdown."""
    facts = record["machine"]
    lines = [
        f"torch {facts['torch']}, {facts['processor']}, {facts['threads']} thread(s), "
        f"{record['clock']} time, memory in MiB.",
    ]
    for model, mallocs in record["models"].items():
        usual, mapped = mallocs["as it is"], mallocs["mapped"]
        rounds = sum(len(race[BASELINE]["seconds"]) for race in usual)
        lines += [
            "",
            f"{MODELS[model][0]} ({rounds} rounds, {len(usual)} processes each):",
            "",
            "| | tensors | time | process | time, mapped | process, mapped |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, (title, _) in CONTENDERS.items():
            cells = [f"{mebibytes(usual, name, 'live'):.1f}"]
            for races in (usual, mapped):
                cells += [f"{ratio(races, name):.2f}", f"{mebibytes(races, name, 'peak'):,.0f}"]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, unless only the table is wanted, and write record and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    random.seed(0)
    if not given.table:
        record = measure(given.rounds, given.repeats, given.threads)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    record = json.loads(RECORD.read_text())
    PAGE.write_text(filled(PAGE.read_text(), BEGIN, END, table(record)))
    print(table(record))


if __name__ == "__main__":
    main()
