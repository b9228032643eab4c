"""The harness of every benchmark: interleaved rounds, ratios, Markdown tables, records, pages.

A benchmark declares what is measured and which tables its record makes; all else is here.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from adabelief_lab.bench.machine import cores, load_average
from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.environment import environment

T = TypeVar("T")
Record = Mapping[str, Any]
NOTHING = "–"
MIB = 2**20


def interleaved(
    candidates: Mapping[str, Callable[[int], T]],
    rounds: int,
    *,
    warm_up: int = 1,
    sampler: random.Random | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, list[T]]:
    """Measure every candidate once in each round, in an order that is drawn for each round.

    What else the machine does slows all candidates of a round down, and so falls out of the
    ratios within the round.

    Args:
        candidates: name -> function of the round's number that returns its measurement.
        rounds: how many count.
        warm_up: rounds before those, which do not count.
        sampler: draws the order; `random` itself if None.
        tick: called after each round that counts.
    """
    found: dict[str, list[T]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name in (sampler or random).sample(list(candidates), len(candidates)):
            measured = candidates[name](number)
            if number >= warm_up:
                found[name].append(measured)
        if number >= warm_up:
            tick()
    return found


def timed(
    step: Callable[[int], Any], clock: Callable[[], float] = time.process_time
) -> Callable[[int], float]:
    """A function that does `step` and returns its seconds, without garbage of earlier steps."""

    def measure(number: int) -> float:
        gc.collect()
        start = clock()
        step(number)
        return clock() - start

    return measure


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios of n rounds, and the quartiles around it."""

    median: float
    low: float
    high: float
    rounds: int


def paired(times: Sequence[float], baseline: Sequence[float]) -> Ratio:
    """How much longer than the baseline: the ratio within each round, then the median of all.

    Args:
        times: one for each round.
        baseline: of the same rounds.

    Raises:
        ValueError: there are no rounds, or not the same number of them, or a time is not > 0.
    """
    if len(times) != len(baseline) or not times:
        msg = f"times and baseline must have the same rounds, got {len(times)} and {len(baseline)}"
        raise ValueError(msg)
    if min(*times, *baseline) <= 0:
        msg = f"times must be positive, got {min(*times, *baseline)}"
        raise ValueError(msg)
    ratios = [time / other for time, other in zip(times, baseline, strict=True)]
    low, median, high = quartiles(ratios)
    return Ratio(median, low, high, len(ratios))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile, interpolated linearly (numpy's default)."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        heads: of the columns.
        rows: as many cells each as there are heads.
        text: columns with words, which are set flush left; all others have numbers.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Collection[int] = (0,)

    def __str__(self) -> str:
        """The table in Markdown."""
        rules = ("---" if column in self.text else "---:" for column in range(len(self.heads)))
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.heads, rules, *self.rows))


def conditions(record: Record, *more: str) -> str:
    """What a record was measured with, in one line; `more` are facts beside machine and load."""
    facts = record["machine"]
    threads = f"{facts['threads']} thread{'' if facts['threads'] == 1 else 's'}"
    told = ", ".join((f"torch {facts['torch']}", facts["processor"], threads, *more))
    load = record.get("load_average")
    return told + ("." if load is None else f"; load average {load:.1f} at the beginning.")


def json_text(value: Any) -> str:
    """JSON that is indented by one and has each list of numbers on one line, for people."""
    return _json(value, 0) + "\n"


def _json(value: Any, depth: int) -> str:
    pad, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, Mapping) and value:
        inner = [f"{json.dumps(key)}: {_json(one, depth + 1)}" for key, one in value.items()]
        return "{" + pad + f",{pad}".join(inner) + end + "}"
    if isinstance(value, list | tuple) and any(
        isinstance(one, Mapping | list | tuple) for one in value
    ):
        return "[" + pad + f",{pad}".join(_json(one, depth + 1) for one in value) + end + "]"
    return json.dumps(value, allow_nan=False)


def read_json(path: Path) -> Any:
    """What is in a JSON file.

    Raises:
        ValueError: the file cannot be read, or is no JSON; the message names it.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ValueError(msg) from None
    except json.JSONDecodeError as error:
        msg = f"{path} is no JSON: {error}"
        raise ValueError(msg) from None


def filled(page: str, begin: str, end: str, content: str) -> str:
    """The page with `content` between two marks instead of what is there.

    Raises:
        ValueError: the page does not have one of each mark, in this order.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in rest:
        msg = f"the page must have one {begin!r} and one {end!r} behind it"
        raise ValueError(msg)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


@dataclass(frozen=True)
class Benchmark:
    """What is measured, and which sections of which page its record makes.

    Args:
        about: what `--help` says.
        record: the JSON file.
        page: the Markdown file.
        sections: name of a section in the page -> what writes it from the record alone.
        measure: makes the record, which gets machine and load average beside it; None if another
            program writes the record.
        options: name -> default: a number, a text, a tuple of all that can be chosen, or None for
            a path.
        figure: makes a PNG file beside the record, from the record alone; None if it has nothing
            to show.
        read: reads the record's file; a ValueError has a message for the user.
    """

    about: str | None
    record: Path
    page: Path
    sections: Mapping[str, Callable[[Any], str]]
    measure: Callable[[argparse.Namespace], Record] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    figure: Callable[[Any], bytes | None] | None = None
    read: Callable[[Path], Any] = read_json

    def command(self, arguments: Sequence[str] | None = None) -> None:
        """Measure, unless only the page is wanted; then write the record and the page."""
        parser = argparse.ArgumentParser(
            description=self.about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        for flag, default in self.options.items():
            if isinstance(default, tuple):
                kind = type(default[0])
                parser.add_argument(
                    f"--{flag}", nargs="+", type=kind, default=default, choices=default
                )
            else:
                kind = Path if default is None else type(default)
                parser.add_argument(f"--{flag}", type=kind, default=default)
        parser.add_argument(
            "--table", action="store_true", help="only write the page, from the record"
        )
        parser.add_argument(
            "--record", type=Path, default=self.record,
            help="another file for the record; its tables are printed and not written to the page",
        )  # fmt: skip
        given = parser.parse_args(arguments)
        if self.measure and not given.table:
            random.seed(0)
            load = load_average()
            measured = self.measure(given)
            facts = {**environment(), "cores": cores()}
            made = {"machine": facts, "load_average": load, **measured}
            replace(given.record, json_text(made).encode())
        try:
            record = self.read(given.record)
        except ValueError as error:
            sys.exit(str(error))
        if given.record == self.record:
            self.page.write_text(self.written(self.page.read_text(), record))
        if self.figure and (picture := self.figure(record)):
            given.record.with_suffix(".png").write_bytes(picture)
        for name, write in self.sections.items():
            sys.stdout.write(f"{name}\n\n{write(record)}\n\n")

    def written(self, page: str, record: Any) -> str:
        """The page with all sections of this benchmark as the record has them."""
        for name, write in self.sections.items():
            begin = f"<!-- {name}: written by python -m benchmarks.{self.record.stem} -->"
            page = filled(page, begin, f"<!-- end of {name} -->", write(record))
        return page
