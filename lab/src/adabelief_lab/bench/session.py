"""A benchmark from its options to its record: what is to be run, and the running of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from adabelief_lab.bench.candidates import BASELINE, CEILING, OURS, Contender, why_not
from adabelief_lab.bench.interleaved_timing import CACHED, heats, run
from adabelief_lab.bench.machine import free_memory
from adabelief_lab.bench.memory import in_child
from adabelief_lab.bench.models import MODELS, Model, equal
from adabelief_lab.bench.record import PARTS, BenchRecord, Footprint, Part

ROUNDS, QUICK_ROUNDS = 40, 3
QUICK_MODELS = (equal(364, 1_024), equal(1_000, 64))
QUICK_PARTS: tuple[Part, ...] = ("speed", "overhead")
# One tensor and many, of one element each: a call, and what every tensor adds to it.
OVERHEAD = (equal(1, 1), equal(364, 1))
# About a million parameters, which a cache may hold, and sixteen million, which it does not, in
# fewer and fewer tensors: where the loop overtakes foreach.
PATHS = tuple(
    equal(1 << (total - size), 1 << size)
    for total, sizes in ((20, range(10, 19)), (24, (10, 12, 13, 14, 16)))
    for size in sizes
)
PATHS_CONTENDERS = (BASELINE, OURS, "loop", "foreach")
MEMORY = MODELS["resnet34"]
# Leave memory to others: swapping would be measured as stepping.
MOST_MEMORY, SHARE_OF_FREE = 10e9, 0.6


@dataclass(frozen=True)
class Job:
    """A heat to be run, or with part "memory" one contender's footprint."""

    part: Part
    model: Model
    contenders: tuple[Contender, ...]
    threads: tuple[int, ...] = (1,)
    rounds: int = 1

    @property
    def ticks(self) -> int:
        """How much there is to do, in rounds."""
        return self.rounds * len(self.threads)


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Args:
        models: for the part "speed".
        threads: likewise; the other parts run with one.
        rounds: for contenders whose time is near the baseline's; others have a quarter.
        parts: some of PARTS.
    """

    models: Sequence[Model] = field(default_factory=lambda: tuple(MODELS.values()))
    threads: Sequence[int] = (1, 2)
    rounds: int = ROUNDS
    parts: Sequence[Part] = PARTS

    def jobs(self, contenders: Sequence[Contender], budget: float = math.inf) -> list[Job]:
        """All that is to be done, in order, with these contenders.

        Raises:
            ValueError: a model does not fit into `budget` bytes.
        """
        return [job for part in self.parts for job in self._jobs(part, contenders, budget)]

    def _jobs(self, part: Part, contenders: Sequence[Contender], budget: float) -> Iterator[Job]:
        optimizers = tuple(one for one in contenders if one.name != CEILING)
        if part == "memory":
            for one in optimizers:
                yield Job(part, MEMORY, (one,))
            return
        if part == "overhead":
            for model in OVERHEAD:
                yield Job(part, model, optimizers, rounds=self.rounds)
            return
        if part == "paths":
            some = tuple(one for one in contenders if one.name in PATHS_CONTENDERS)
            for model in PATHS:
                yield Job(part, model, some, rounds=self._fewer)
            return
        for model in self.models:
            # Arrays that fit into a cache are not limited by memory: nothing to compare with.
            some = optimizers if model.parameters < CACHED else tuple(contenders)
            for number, heat in enumerate(heats(some, model, budget)):
                near = number == 0 or any(one.near for one in heat if one.name not in _ANCHORS)
                rounds = self.rounds if near else self._fewer
                yield Job(part, model, tuple(heat), tuple(self.threads), rounds)

    @property
    def _fewer(self) -> int:
        """Rounds of those who are several times slower: their ratios need fewer."""
        return min(self.rounds, max(QUICK_ROUNDS, math.ceil(self.rounds / 4)))


_ANCHORS = (BASELINE, OURS)


def sort_out(contenders: Sequence[Contender]) -> tuple[list[Contender], dict[str, str]]:
    """Those that can run here, and why the others cannot."""
    reasons = {one.name: why_not(one) for one in contenders}
    can = [one for one in contenders if not reasons[one.name]]
    return can, {name: reason for name, reason in reasons.items() if reason}


def budget() -> float:
    """Bytes that a heat may use on this machine now."""
    return min(MOST_MEMORY, SHARE_OF_FREE * free_memory())


def execute(
    jobs: Sequence[Job],
    record: BenchRecord,
    begin: Callable[[Job], None],
    tick: Callable[[], None],
    save: Callable[[], None],
) -> None:
    """Run the jobs into the record.

    Args:
        jobs: from `Plan.jobs`.
        record: gets heats and footprints as they are finished.
        begin: called before each job.
        tick: called `Job.ticks` times for each job.
        save: called whenever the record has grown.

    Raises:
        RuntimeError: a parameter did not stay finite, or a child process failed.
    """
    for job in jobs:
        begin(job)
        if job.part == "memory":
            found = in_child(job.contenders[0].name, job.model)
            footprint = Footprint(
                contender=job.contenders[0].name,
                shape=job.model.name,
                parameters=job.model.parameters,
                state=found["state"] or 0,
                peak=found["peak"],
                before=found["before"],
            )
            record.memory.append(footprint)
            tick()
            save()
            continue
        for heat in run(job.part, job.model, job.contenders, job.threads, job.rounds, tick):
            record.heats.append(heat)
            save()
