"""`adabelief bench`, from the words of its command line to a record that is ready to be filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from rich.console import Console

from adabelief_lab.bench.candidates import BASELINE, CONTENDERS, Contender, contenders
from adabelief_lab.bench.display import meter
from adabelief_lab.bench.machine import cores, machine
from adabelief_lab.bench.models import model
from adabelief_lab.bench.record import BenchRecord
from adabelief_lab.bench.session import (
    QUICK_MODELS,
    QUICK_PARTS,
    QUICK_ROUNDS,
    Job,
    Plan,
    budget,
    execute,
    sort_out,
)


@dataclass(frozen=True)
class Request:
    """The options as they were given, None where they were not.

    Args:
        shapes: names of models, separated by commas.
        threads: numbers, likewise.
        rounds: of those whose time is near the baseline's.
        against: names of contenders, likewise.
        quick: small shapes, one thread, few rounds.
    """

    shapes: str | None = None
    threads: str | None = None
    rounds: int | None = None
    against: str | None = None
    quick: bool = False

    def plan(self) -> Plan:
        """What is to be measured.

        Raises:
            ValueError: a shape is unknown, or a number of threads is out of range.
        """
        plan = Plan(threads=range(1, min(2, cores()) + 1))
        if self.quick:
            plan = Plan(QUICK_MODELS, (1,), QUICK_ROUNDS, QUICK_PARTS)
        if self.shapes is not None:
            models = [model(name) for name in _words("shapes", self.shapes)]
            plan = replace(plan, models=models, parts=("speed",))
        if self.threads is not None:
            plan = replace(plan, threads=_threads(self.threads))
        if self.rounds is not None:
            plan = replace(plan, rounds=self.rounds)
        return plan

    def contenders(self) -> list[Contender]:
        """Who is to run.

        Raises:
            ValueError: one is unknown.
        """
        if self.against is None:
            return list(CONTENDERS.values())
        return contenders(_words("against", self.against))


def prepare(
    request: Request, facts: Mapping[str, Any], command: str
) -> tuple[BenchRecord, list[Job]]:
    """A record without times yet, and the jobs that will fill it.

    Args:
        request: the options.
        facts: of the environment; the machine's are added.
        command: what was typed, for the record.

    Raises:
        ValueError: a name or a number is wrong, a contender that was asked for cannot run, or a
            model does not fit into memory.
    """
    plan, wanted = request.plan(), request.contenders()
    can, left_out = sort_out(wanted)
    asked = set(_words("against", request.against)) if request.against is not None else set()
    for name in (BASELINE, *sorted(asked)):
        if name in left_out:
            msg = f"{name} cannot run here: {left_out[name]}"
            raise ValueError(msg)
    jobs = plan.jobs(can, budget())
    record = BenchRecord(
        command=command,
        started=_now(),
        machine={**facts, **machine()},
        left_out=left_out,
    )
    return record, jobs


def fill(
    record: BenchRecord, jobs: Sequence[Job], console: Console, save: Callable[[], None]
) -> None:
    """Run the jobs, with progress on the console; `save` is called whenever something is new.

    Raises:
        RuntimeError: a parameter did not stay finite, or a child process failed.
    """
    with meter(console, jobs) as (begin, tick):
        execute(jobs, record, begin, tick, save)
    record.finished, record.complete = _now(), True
    save()


def _words(option: str, text: str) -> list[str]:
    """What stands between commas, each once."""
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        msg = f"--{option} must name at least one, got {text!r}"
        raise ValueError(msg)
    return words


def _threads(text: str) -> list[int]:
    numbers = []
    for word in _words("threads", text):
        if not (word.isascii() and word.isdigit() and 1 <= int(word) <= cores()):
            msg = f"--threads must be in 1..{cores()}, the processors of this machine, got {word}"
            raise ValueError(msg)
        numbers.append(int(word))
    return numbers


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
