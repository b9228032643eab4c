"""Interleaved timing of steps: which candidates run in the same rounds, and the clock."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from adabelief_lab.bench.address_randomisation import RandomPadding
from adabelief_lab.bench.candidates import BASELINE, OURS, Candidate, Stepper
from adabelief_lab.bench.harness import interleaved
from adabelief_lab.bench.machine import load_average
from adabelief_lab.bench.models import Model
from adabelief_lab.bench.record import Part, Timing
from adabelief_lab.bench.shared_parameters import SharedParameters

# A time is of several steps where one is short, far above the clock's grain (about 5 µs). A tensor
# costs about as much as so many parameters.
WORK, TENSOR, MOST_REPEATS = 4_000_000, 5_000, 10
# Smaller models are in the cache at the second step in a row: the first is not timed.
CACHED = 4_000_000
# Rounds before all arrays are put elsewhere.
LAYOUT = 4
# What an operation on lists of tensors may need for a while, in bytes per parameter.
TEMPORARY = 20


def groups(
    candidates: Sequence[Candidate], model: Model, budget: float = math.inf
) -> list[list[Candidate]]:
    """Divide the candidates into groups that fit into memory; the near ones come first.

    The baseline and ours run in every group, so that all others are compared with both in the
    same rounds.

    Args:
        candidates: those that can run.
        model: whose parameters and gradients they share.
        budget: bytes that may be in use at a time.

    Raises:
        ValueError: a candidate does not fit even alone.
    """
    anchors = [one for one in candidates if one.name in (BASELINE, OURS)]
    others = [one for one in candidates if one not in anchors]
    divided: list[list[Candidate]] = []
    for near in (True, False):
        rest = [one for one in others if one.near is near]
        # Parameters and two sets of gradients, for each dtype.
        shared = 3 * sum({one.dtype: one.dtype.itemsize for one in (*anchors, *rest)}.values())
        fixed = shared + sum(one.state for one in anchors) + (0 if near else TEMPORARY)
        room = budget / model.parameters - fixed
        most = max((one.state for one in rest), default=0)
        if room < most:
            need = (fixed + most) * model.parameters / 2**30
            msg = f"{model.name} needs {need:.1f} GiB of memory, got {budget / 2**30:.1f}"
            raise ValueError(msg)
        while rest:
            taken: list[Candidate] = []
            while rest and sum(one.state for one in taken) + rest[0].state <= room:
                taken.append(rest.pop(0))
            divided.append([*anchors, *taken])
    return divided or [anchors]


def measure(
    part: Part,
    model: Model,
    candidates: Sequence[Candidate],
    threads: Sequence[int],
    rounds: int,
    tick: Callable[[], None],
) -> Iterator[Timing]:
    """Time steps of a group; one timing for each number of threads, all with the same optimizers.

    After every few rounds all arrays are made anew elsewhere, see `address_randomisation`.

    Args:
        part: what the timing is for.
        model: the shapes.
        candidates: at most as many as fit into memory, see `groups`.
        threads: numbers of threads.
        rounds: how often each candidate is timed.
        tick: called after each round.

    Raises:
        RuntimeError: a parameter did not stay finite.
    """
    sampler = random.Random(0)
    repeats = max(1, min(MOST_REPEATS, WORK // (model.parameters + TENSOR * model.tensors)))
    layouts = math.ceil(rounds / LAYOUT)
    seconds: dict[int, dict[str, list[float]]] = {
        number: {one.name: [] for one in candidates} for number in threads
    }
    loads: dict[int, list[float]] = {number: [] for number in threads}

    def one_layout(layout: int) -> None:
        padding = RandomPadding(layout)
        shared = {
            dtype: SharedParameters(model, dtype, padding)
            for dtype in dict.fromkeys(one.dtype for one in candidates)
        }
        timers = {}
        for one in candidates:
            padding.add()
            stepper = one.make(shared[one.dtype].params)
            stepper.step()  # makes the state, where chance puts it
            timers[one.name] = _timer(stepper, shared[one.dtype], model, repeats)
        here = rounds // layouts + (layout < rounds % layouts)
        for number in threads:

            def round_ended(number: int = number) -> None:
                load = load_average()
                loads[number] += [] if load is None else [load]
                tick()

            with _quiet(number):
                found = interleaved(timers, here, sampler=sampler, tick=round_ended)
            for name, own in found.items():
                seconds[number][name] += own
        for parameters in shared.values():
            parameters.check()

    for layout in range(layouts):
        one_layout(layout)  # a function, so that its arrays are gone before the next ones are made
    for number in threads:
        yield Timing(
            part=part,
            shape=model.name,
            tensors=model.tensors,
            parameters=model.parameters,
            threads=number,
            clock="thread CPU time" if number == 1 else "wall time",
            repeats=repeats,
            layouts=layouts,
            load=(min(loads[number]), max(loads[number])) if loads[number] else None,
            # Four digits: more than any clock here deserves.
            seconds={
                name: [float(f"{time:.4g}") for time in own]
                for name, own in seconds[number].items()
            },
        )


def _timer(
    stepper: Stepper, shared: SharedParameters, model: Model, repeats: int
) -> Callable[[int], float]:
    """What measures the seconds of one step.

    One thread is timed by its own CPU time, which is free of whatever else the machine does.
    """

    def seconds(_: int) -> float:
        clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
        total = 0.0
        if model.parameters < CACHED:
            shared.turn()
            stepper.step()
        for _ in range(repeats):
            shared.turn()
            start = clock()
            stepper.step()
            total += clock() - start
        return total / repeats

    return seconds


@contextmanager
def _quiet(threads: int) -> Iterator[None]:
    """So many threads, and no garbage collection within a step."""
    before, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if collecting:
            gc.enable()
