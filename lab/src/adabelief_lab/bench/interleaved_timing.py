"""Interleaved, shuffled rounds: who runs against whom, and the clock."""

from __future__ import annotations

import gc
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from adabelief_lab.bench.address_randomisation import Spacers
from adabelief_lab.bench.candidates import BASELINE, OURS, Contender, Stepper
from adabelief_lab.bench.models import Model
from adabelief_lab.bench.record import Heat, Part
from adabelief_lab.bench.shared_parameters import Arena

# A time is of several steps where one is short, far above the clock's grain (about 5 µs). A tensor
# costs about as much as so many parameters.
WORK, TENSOR, MOST_REPEATS = 4_000_000, 5_000, 10
# Smaller models find themselves in the cache at the second step in a row: the first is not timed.
CACHED = 4_000_000
# Rounds before everything is put elsewhere.
LAYOUT = 4
# What an operation on lists of tensors may need for a while, in bytes per parameter.
TEMPORARY = 20
Tick = Callable[[], None]


def heats(
    contenders: Sequence[Contender], model: Model, budget: float = math.inf
) -> list[list[Contender]]:
    """Divide the contenders so that each part fits into memory; the near ones come first.

    The baseline and ours run in every heat, so that all others are compared with both in the
    same rounds.

    Args:
        contenders: those that can run.
        model: whose parameters and gradients they share.
        budget: bytes there may be in use at a time.

    Raises:
        ValueError: there is one that does not fit even alone.
    """
    anchors = [one for one in contenders if one.name in (BASELINE, OURS)]
    others = [one for one in contenders if one not in anchors]
    divided: list[list[Contender]] = []
    for near in (True, False):
        mates = [one for one in others if one.near is near]
        # Parameters and two sets of gradients, for each dtype.
        shared = 3 * sum({one.dtype: one.dtype.itemsize for one in (*anchors, *mates)}.values())
        fixed = shared + sum(one.state for one in anchors) + (0 if near else TEMPORARY)
        room = budget / model.parameters - fixed
        most = max((one.state for one in mates), default=0)
        if room < most:
            need = (fixed + most) * model.parameters / 2**30
            msg = f"{model.name} needs {need:.1f} GiB of memory, got {budget / 2**30:.1f}"
            raise ValueError(msg)
        while mates:
            taken: list[Contender] = []
            while mates and sum(one.state for one in taken) + mates[0].state <= room:
                taken.append(mates.pop(0))
            divided.append([*anchors, *taken])
    return divided or [anchors]


def run(
    part: Part,
    model: Model,
    contenders: Sequence[Contender],
    threads: Sequence[int],
    rounds: int,
    tick: Tick,
) -> Iterator[Heat]:
    """Let them step in turn; one heat for each number of threads, all with the same optimizers.

    After every few rounds all arrays are made anew elsewhere, see `placement`.

    Args:
        part: what the heat is for.
        model: the shapes.
        contenders: at most as many as fit into memory, see `heats`.
        threads: numbers of threads.
        rounds: how often each is timed.
        tick: called after each round.

    Raises:
        RuntimeError: a parameter did not stay finite.
    """
    shuffle = random.Random(0)
    work = model.parameters + TENSOR * model.tensors
    repeats = max(1, min(MOST_REPEATS, WORK // work))
    layouts = math.ceil(rounds / LAYOUT)
    seconds: dict[int, dict[str, list[float]]] = {
        number: {one.name: [] for one in contenders} for number in threads
    }
    loads: dict[int, list[float]] = {number: [] for number in threads}
    for layout in range(layouts):
        spacers = Spacers(layout)
        lanes = _lanes(model, contenders, spacers)
        here = rounds // layouts + (layout < rounds % layouts)
        for number in threads:
            with _quiet(number):
                # One round more, before, warms everything up.
                for counts in (False, *[True] * here):
                    for name in shuffle.sample(list(lanes), len(lanes)):
                        took = _time(*lanes[name], model.parameters < CACHED, repeats, number)
                        if counts:
                            seconds[number][name].append(took)
                    if counts:
                        loads[number] += _load()
                        tick()
        for _, arena in lanes.values():
            arena.check()
        del lanes, spacers, arena
    for number in threads:
        yield Heat(
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


def _lanes(
    model: Model, contenders: Sequence[Contender], spacers: Spacers
) -> dict[str, tuple[Stepper, Arena]]:
    """Every contender with the parameters it steps, and its state where chance put it."""
    dtypes = dict.fromkeys(one.dtype for one in contenders)
    arenas = {dtype: Arena(model, dtype, spacers) for dtype in dtypes}
    lanes = {}
    for one in contenders:
        spacers.add()
        lanes[one.name] = (one.make(arenas[one.dtype].params), arenas[one.dtype])
        lanes[one.name][0].step()  # makes the state
    return lanes


def _time(stepper: Stepper, arena: Arena, lead_in: bool, repeats: int, threads: int) -> float:
    """Seconds of one step. A thread's own CPU time is free of whatever else the machine does."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    total = 0.0
    if lead_in:
        arena.turn()
        stepper.step()
    for _ in range(repeats):
        arena.turn()
        start = clock()
        stepper.step()
        total += clock() - start
    return total / repeats


@contextmanager
def _quiet(threads: int) -> Iterator[None]:
    """So many threads, and no garbage collection in somebody's step."""
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


def _load() -> list[float]:
    """The load average of the last minute, in hundredths; empty where there is none."""
    try:
        return [round(os.getloadavg()[0], 2)]
    except (AttributeError, OSError):
        return []
