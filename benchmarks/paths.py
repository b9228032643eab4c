"""Which path is faster on CPU: loop or foreach, by tensor size; and AdaBelief against its peers.

Rounds are interleaved and shuffled in one process (A B C, B A C, ...); reported are medians of
ratios within a round, because absolute times mean nothing on a shared machine. Writes
docs/paths.md.

    python benchmarks/paths.py [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from adabelief_pytorch import AdaBelief as Authors

from adabelief import AdaBelief
from adabelief.lab.environment import environment
from adabelief.update import FOREACH_CPU_BELOW

PAGE = Path(__file__).parent.parent / "docs" / "paths.md"

# (tensors, elements of each): models of about a million elements, which a cache may hold, and
# of sixteen million, which it does not.
MODELS = [
    (1000, 64),
    (1000, 1_024),
    (256, 4_096),
    (128, 8_192),
    (64, 16_384),
    (32, 32_768),
    (16, 65_536),
    (4, 262_144),
    (16_384, 1_024),
    (4_096, 4_096),
    (2_048, 8_192),
    (1_024, 16_384),
    (256, 65_536),
    (1, 16_777_216),
]
Make = Callable[[list[torch.Tensor]], torch.optim.Optimizer]


def authors(params: list[torch.Tensor]) -> torch.optim.Optimizer:
    """The authors' package, with the same options, its banner caught."""
    with contextlib.redirect_stdout(io.StringIO()):
        return Authors(params, rectify=False, print_change_log=False)


CONTENDERS: dict[str, Make] = {
    "loop": lambda params: AdaBelief(params, foreach=False),
    "foreach": lambda params: AdaBelief(params, foreach=True),
    "chosen": AdaBelief,
    "authors 0.2.1": authors,
    "Adam loop": lambda params: torch.optim.Adam(params, foreach=False),
    "Adam fused": lambda params: torch.optim.Adam(params, fused=True),
}


def make(contender: Make, tensors: int, elements: int) -> torch.optim.Optimizer:
    """An optimizer with parameters and gradients of its own, warmed up by two steps."""
    params = [torch.randn(elements, requires_grad=True) for _ in range(tensors)]
    for param in params:
        param.grad = torch.randn(elements)
    optimizer = contender(list(params))
    for _ in range(2):
        optimizer.step()
    return optimizer


def seconds(optimizer: torch.optim.Optimizer, repeats: int) -> float:
    """Processor time of one step of this process."""
    start = time.process_time()
    for _ in range(repeats):
        optimizer.step()
    return (time.process_time() - start) / repeats


def measure(tensors: int, elements: int, rounds: int) -> dict[str, float]:
    """Median over rounds of each contender's time relative to "loop"."""
    optimizers = {name: make(each, tensors, elements) for name, each in CONTENDERS.items()}
    repeats = max(1, 2_000_000 // (tensors * elements))
    ratios: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        order = list(CONTENDERS)
        random.shuffle(order)
        times = {name: seconds(optimizers[name], repeats) for name in order}
        for name in CONTENDERS:
            ratios[name].append(times[name] / times["loop"])
    return {name: statistics.median(values) for name, values in ratios.items()}


def main() -> None:
    """Measure every model and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    facts = environment()
    lines = [
        "# Paths on the CPU",
        "",
        "Written by `make bench`. Processor time of one step relative to our loop, same round; "
        f"medians of {given.rounds} interleaved rounds; float32. torch {facts['torch']}, "
        f"{facts['processor']}, {given.threads} thread(s).",
        "",
        "`chosen` is `foreach=None`: foreach for tensors of fewer than "
        f"{FOREACH_CPU_BELOW:,} elements, the loop for others.",
        "",
        "| tensors × elements | " + " | ".join(CONTENDERS) + " |",
        "| --- |" + " ---: |" * len(CONTENDERS),
    ]
    for tensors, elements in MODELS:
        ratios = measure(tensors, elements, given.rounds)
        cells = " | ".join(f"{ratio:.2f}" for ratio in ratios.values())
        lines.append(f"| {tensors} × {elements:,} | {cells} |")
        print(lines[-1], flush=True)
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
