"""What gradient release saves: time of a whole iteration, and peak memory.

Every candidate trains in a fresh process of its own and waits while another one works: they take
turns, iteration by iteration, in shuffled order. The tables show medians of the ratios within a
round, because absolute times mean nothing on a shared machine. All is done twice, with malloc as it
is and with one that gives large tensors back at once. Writes results/benchmarks/release.json and
the tables of docs/release.md.

    python -m benchmarks.release [--rounds 40] [--repeats 3] [--threads 1]

`--repeats` is the number of fresh processes of each candidate.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn

from adabelief import AdaBelief, release_gradients
from adabelief_lab.bench.harness import (
    MIB,
    Benchmark,
    Record,
    Table,
    conditions,
    interleaved,
    paired,
)
from adabelief_lab.bench.memory import forget_peak, peak, resident
from benchmarks import DOCS, RECORDS

WARM_UP = 3
# glibc keeps what was freed, for whatever fits into the holes. With the threshold, every tensor of
# a MiB or more has pages of its own, which go back when it is freed and cost time to get anew.
MALLOCS = {"as it is": {}, "mapped": {"MALLOC_MMAP_THRESHOLD_": str(2**20)}}
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
    for before, after in pairwise((3, 32, 32, 64, 64, 128, 128)):
        convolution = nn.Conv2d(before, after, 3, 1 if after == before else 2, 1, bias=False)
        parts += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(10)), torch.randn(16, 3, 32, 32)


MODELS: Mapping[str, tuple[str, Callable[[], tuple[nn.Module, Tensor]]]] = {
    "layers": ("24 × Linear(1024, 1024), batch 32", layers),
    "convolutions": ("6 × Conv2d, BatchNorm2d, 32 × 32 pixels, batch 16", convolutions),
}


def after_backward(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """The usual loop: all gradients, then the step, then all gradients are freed."""

    def finish() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return finish


def adam(model: nn.Module) -> Callable[[], None]:
    """The baseline."""
    return after_backward(torch.optim.Adam(model.parameters(), lr=LR, fused=True))


def adabelief(model: nn.Module) -> Callable[[], None]:
    """Ours, as it comes."""
    return after_backward(AdaBelief(model.parameters(), lr=LR))


def released(model: nn.Module) -> Callable[[], None]:
    """Ours, in backward."""
    optimizer = AdaBelief(model.parameters(), lr=LR)
    release_gradients(model, optimizer)
    return optimizer.step


def adam_in_hooks(model: nn.Module) -> Callable[[], None]:
    """An Adam for each parameter, stepped as torch's tutorial does."""
    for param in model.parameters():
        finish = after_backward(torch.optim.Adam([param], lr=LR, fused=True))
        param.register_post_accumulate_grad_hook(lambda _, finish=finish: finish())
    return lambda: None


def backward_only(model: nn.Module) -> Callable[[], None]:
    """Frees the gradients and trains nothing."""
    return model.zero_grad


# Name in the record: (title, what follows backward).
CANDIDATES: Mapping[str, tuple[str, Callable[[nn.Module], Callable[[], None]]]] = {
    "adam": ("torch Adam, fused, after backward", adam),
    "adam in hooks": ("torch Adam, fused, one for each parameter in hooks", adam_in_hooks),
    "adabelief": ("AdaBelief after backward", adabelief),
    "released": ("AdaBelief, gradients released", released),
    "backward": ("no optimizer: forward and backward", backward_only),
}
BASELINE = "adam"


def work(pipe: Connection, model_name: str, candidate: str, threads: int) -> None:
    """A candidate's process: an iteration and its time at each message, at the end the peak."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    first = nn.Linear(1, 1)
    finish = CANDIDATES[candidate][1](first)  # imports what it imports
    first(torch.ones(1)).backward()
    finish()
    forget_peak()
    before = resident()
    model, inputs = MODELS[model_name][1]()
    model(inputs)  # lazy layers
    finish = CANDIDATES[candidate][1](model)
    clock = time.process_time if threads == 1 else time.perf_counter

    def iterate() -> float:
        start = clock()
        loss = model(inputs).square().mean()
        loss.backward()
        finish()
        if not torch.isfinite(loss):
            msg = f"{candidate} diverged: the times mean nothing"
            raise RuntimeError(msg)
        return clock() - start

    for _ in range(WARM_UP):
        iterate()
    pipe.send(None)
    while pipe.recv():
        pipe.send(iterate())
    pipe.send({"peak": peak() - before, "live": live(iterate)})


def live(iterate: Callable[[], float]) -> int:
    """Most bytes of tensors that one iteration has at once, beside what was there before it."""
    with torch.profiler.profile(profile_memory=True) as profile:
        iterate()
    results = profile.profiler.kineto_results if profile.profiler else None
    changes = [e.nbytes() for e in results.events() if e.name() == "[memory]"] if results else []
    return max(accumulate(changes), default=0)


def repetition(
    model: str, rounds: int, threads: int, malloc: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Times of every round and memory of each candidate, in processes that take turns."""
    os.environ.update(malloc)
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Any] = {}
    processes = []
    for name in CANDIDATES:
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(theirs, model, name, threads)))
        processes[-1].start()
        theirs.close()  # so that the end of the process ends our waiting
        pipes[name].recv()  # warmed up

    def candidate(pipe: Any) -> Callable[[int], float]:
        def seconds(_: int) -> float:
            pipe.send(True)
            return pipe.recv()

        return seconds

    timers = {name: candidate(pipe) for name, pipe in pipes.items()}
    found: dict[str, dict[str, Any]] = {
        name: {"seconds": seconds}
        for name, seconds in interleaved(timers, rounds, warm_up=0).items()
    }
    for name, pipe in pipes.items():
        pipe.send(False)
        found[name].update(pipe.recv())
    for process in processes:
        process.join()
    for key in malloc:
        del os.environ[key]
    return found


def measure(given: Namespace) -> dict[str, Any]:
    """All times and peaks of all repetitions."""
    torch.set_num_threads(given.threads)
    return {
        "clock": "processor" if given.threads == 1 else "wall",
        "models": {
            model: {
                name: [
                    repetition(model, given.rounds, given.threads, malloc)
                    for _ in range(given.repeats)
                ]
                for name, malloc in MALLOCS.items()
            }
            for model in given.models
        },
    }


def table(record: Record) -> str:
    """A table for each model."""
    parts = [conditions(record, f"{record['clock']} time", "memory in MiB")]
    heads = ("optimizer", "tensors", "time", "process", "time, mapped", "process, mapped")
    for model, mallocs in record["models"].items():
        usual = mallocs["as it is"]
        rounds = sum(len(one[BASELINE]["seconds"]) for one in usual)
        parts.append(f"{MODELS[model][0]} ({rounds} rounds, {len(usual)} processes each):")
        rows = []
        for name, (title, _) in CANDIDATES.items():
            row = [title, f"{mebibytes(usual, name, 'live'):.1f}"]
            for found in mallocs.values():
                times, base = (
                    [seconds for one in found for seconds in one[which]["seconds"]]
                    for which in (name, BASELINE)
                )
                row += [f"{paired(times, base).median:.2f}"]
                row += [f"{mebibytes(found, name, 'peak'):,.0f}"]
            rows.append(row)
        parts.append(str(Table(heads, rows)))
    return "\n\n".join(parts)


def mebibytes(found: list[dict[str, dict[str, Any]]], name: str, what: str) -> float:
    """Median over the processes."""
    return statistics.median(one[name][what] for one in found) / MIB


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "release.json",
    DOCS / "release.md",
    {"release": table},
    measure,
    {"rounds": 40, "repeats": 3, "threads": 1, "models": tuple(MODELS)},
)

if __name__ == "__main__":
    BENCHMARK.command()
