"""`adabelief bench` from its options to its record: what is to be measured, and the measuring."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from adabelief_lab.bench.candidates import (
    BASELINE,
    CANDIDATES,
    CEILING,
    OURS,
    Candidate,
    candidates,
    why_not,
)
from adabelief_lab.bench.interleaved_timing import CACHED, groups, measure
from adabelief_lab.bench.machine import cores, free_memory, machine
from adabelief_lab.bench.memory import in_child
from adabelief_lab.bench.models import MODELS, Model, equal, model
from adabelief_lab.bench.record import PARTS, BenchRecord, Part

ROUNDS, QUICK_ROUNDS = 40, 3
QUICK_MODELS = (equal(364, 1_024), equal(1_000, 64))
QUICK_PARTS: tuple[Part, ...] = ("speed", "overhead")
# One tensor and many, of one element each: the cost of a call, and what every tensor adds to it.
OVERHEAD = (equal(1, 1), equal(364, 1))
# About a million parameters, which a cache may hold, and sixteen million, which it does not, in
# fewer and fewer tensors: where the loop overtakes foreach.
PATHS = tuple(
    equal(1 << (total - size), 1 << size)
    for total, sizes in ((20, range(10, 19)), (24, (10, 12, 13, 14, 16)))
    for size in sizes
)
PATHS_CANDIDATES = (BASELINE, OURS, "loop", "foreach")
MEMORY = MODELS["resnet34"]
# Leave memory to others: swapping would be measured as stepping.
MOST_MEMORY, SHARE_OF_FREE = 10e9, 0.6


@dataclass(frozen=True)
class Job:
    """A group of candidates to be timed, or with part "memory" one candidate to be measured."""

    part: Part
    model: Model
    candidates: tuple[Candidate, ...]
    threads: tuple[int, ...] = (1,)
    rounds: int = 1

    @property
    def ticks(self) -> int:
        """How much there is to do, in rounds."""
        return self.rounds * len(self.threads)


def plan(
    candidates: Sequence[Candidate],
    models: Sequence[Model] = tuple(MODELS.values()),
    threads: Sequence[int] = (1, 2),
    rounds: int = ROUNDS,
    parts: Sequence[Part] = PARTS,
    budget: float = math.inf,
) -> Iterator[Job]:
    """All that is to be done, in order.

    Args:
        candidates: those that can run.
        models: for the part "speed".
        threads: likewise; the other parts run with one.
        rounds: for candidates whose time is near the baseline's; others have a quarter.
        parts: some of PARTS.
        budget: bytes of memory that may be in use at a time.

    Raises:
        ValueError: a model does not fit into memory.
    """
    optimizers = tuple(one for one in candidates if one.name != CEILING)
    # Candidates that are several times slower: their ratios need fewer rounds.
    fewer = min(rounds, max(QUICK_ROUNDS, math.ceil(rounds / 4)))
    for part in parts:
        if part == "memory":
            yield from (Job(part, MEMORY, (one,)) for one in optimizers)
        elif part == "overhead":
            yield from (Job(part, model, optimizers, rounds=rounds) for model in OVERHEAD)
        elif part == "paths":
            some = tuple(one for one in candidates if one.name in PATHS_CANDIDATES)
            yield from (Job(part, model, some, rounds=fewer) for model in PATHS)
        else:
            for model in models:
                # Arrays that fit into a cache are not limited by memory: no ceiling for them.
                some = optimizers if model.parameters < CACHED else tuple(candidates)
                for number, group in enumerate(groups(some, model, budget)):
                    others = [one for one in group if one.name not in (BASELINE, OURS)]
                    near = number == 0 or any(one.near for one in others)
                    yield Job(part, model, tuple(group), tuple(threads), rounds if near else fewer)


def planned(
    shapes: str | None, threads: str | None, rounds: int | None, quick: bool
) -> dict[str, Any]:
    """The arguments of `plan` that the options of the command ask for; None was not given.

    Args:
        shapes: names of models, separated by commas.
        threads: numbers, likewise.
        rounds: of the candidates whose time is near the baseline's.
        quick: small shapes, one thread, few rounds.

    Raises:
        ValueError: a shape is unknown, or a number of threads is out of range.
    """
    found: dict[str, Any] = {"threads": range(1, min(2, cores()) + 1)}
    if quick:
        found = {
            "models": QUICK_MODELS, "threads": (1,), "rounds": QUICK_ROUNDS, "parts": QUICK_PARTS,
        }  # fmt: skip
    if shapes is not None:
        found["models"] = [model(name) for name in split("shapes", shapes)]
        found["parts"] = ("speed",)
    if threads is not None:
        found["threads"] = _threads(threads)
    return found if rounds is None else {**found, "rounds": rounds}


def split(option: str, text: str) -> list[str]:
    """The words between commas, each once.

    Raises:
        ValueError: there is none.
    """
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        msg = f"--{option} must name at least one, got {text!r}"
        raise ValueError(msg)
    return words


def _threads(text: str) -> list[int]:
    words = split("threads", text)
    for word in words:
        if not (word.isascii() and word.isdigit() and 1 <= int(word) <= cores()):
            msg = f"--threads must be in 1..{cores()}, the processors of this machine, got {word}"
            raise ValueError(msg)
    return [int(word) for word in words]


def sort_out(wanted: Sequence[Candidate]) -> tuple[list[Candidate], dict[str, str]]:
    """The candidates that can run here, and why the others cannot."""
    reasons = {one.name: why_not(one) for one in wanted}
    can = [one for one in wanted if not reasons[one.name]]
    return can, {name: reason for name, reason in reasons.items() if reason}


def prepare(
    options: Mapping[str, Any], against: str | None, facts: Mapping[str, Any], command: str
) -> tuple[BenchRecord, list[Job]]:
    """A record without times, and the jobs that will fill it.

    Args:
        options: arguments of `plan`.
        against: names of candidates, separated by commas; None for all that can run.
        facts: of the environment; the machine's are added.
        command: what was typed, for the record.

    Raises:
        ValueError: a name is unknown, a candidate that was asked for cannot run, or a model does
            not fit into memory.
    """
    asked = [] if against is None else split("against", against)
    can, left_out = sort_out(candidates(asked) if asked else list(CANDIDATES.values()))
    for name in (BASELINE, *sorted(asked)):
        if name in left_out:
            msg = f"{name} cannot run here: {left_out[name]}"
            raise ValueError(msg)
    budget = min(MOST_MEMORY, SHARE_OF_FREE * free_memory())
    jobs = list(plan(can, **options, budget=budget))
    record = BenchRecord(
        command=command, started=_now(), machine={**facts, **machine()}, left_out=left_out
    )
    return record, jobs


def fill(
    record: BenchRecord,
    jobs: Sequence[Job],
    begin: Callable[[Job], None],
    tick: Callable[[], None],
    save: Callable[[], None],
) -> None:
    """Run the jobs into the record.

    Args:
        record: gets timings and memory as they are finished.
        jobs: from `plan`.
        begin: called before each job.
        tick: called `Job.ticks` times for each job.
        save: called whenever the record has grown.

    Raises:
        RuntimeError: a parameter did not stay finite, or a child process failed.
    """
    for job in jobs:
        begin(job)
        if job.part == "memory":
            record.memory.append(in_child(job.candidates[0].name, job.model))
            tick()
            save()
            continue
        for one in measure(job.part, job.model, job.candidates, job.threads, job.rounds, tick):
            record.timings.append(one)
            save()
    record.finished, record.complete = _now(), True
    save()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
