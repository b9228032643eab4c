"""What a record says, row by row: for the terminal and for the page alike. Pure functions."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from adabelief_lab.bench.candidates import BASELINE, CEILING, CONTENDERS
from adabelief_lab.bench.models import model
from adabelief_lab.bench.ratios import Ratio
from adabelief_lab.bench.record import BenchRecord, Heat, Part
from adabelief_lab.bench.session import OVERHEAD


@dataclass(frozen=True)
class TableRow:
    """One contender against the baseline.

    Args:
        of_ceiling: time of the memory's work alone / its own time, in the same rounds: 1 is the
            best that can be. None if it keeps less than float32 m and s, or there was no ceiling.
    """

    name: str
    title: str
    kind: str
    milliseconds: float
    ratio: Ratio
    of_ceiling: Ratio | None


@dataclass(frozen=True)
class Overhead:
    """What a step costs without arithmetic: microseconds of a call, and of each further tensor."""

    name: str
    title: str
    call: float
    tensor: float


def title(name: str) -> str:
    """A contender's title; of one that only the record knows, its name."""
    known = CONTENDERS.get(name)
    if known is None:
        return name
    return f"AdaBelief, {known.title}" if known.kind == "ours" else known.title


def kind(name: str) -> str:
    """Whose it is: "torch", "peer", "ours" or "ceiling"."""
    return CONTENDERS[name].kind if name in CONTENDERS else "peer"


def rows(record: BenchRecord, part: Part, shape: str, threads: int) -> list[TableRow]:
    """All that ran on that shape with so many threads, the fastest first."""
    found = []
    for name in _names(record, part, shape, threads):
        heat = record.heat(part, shape, threads, name, BASELINE)
        if heat is None:
            continue
        beside = record.heat(part, shape, threads, name, CEILING) if _moves_28(name) else None
        row = TableRow(
            name,
            title(name),
            kind(name),
            1e3 * statistics.median(heat.seconds[name]),
            heat.ratio(name, BASELINE),
            beside.ratio(CEILING, name) if beside and name != CEILING else None,
        )
        found.append(row)
    return sorted(found, key=lambda row: row.ratio.median)


def overhead(record: BenchRecord) -> list[Overhead]:
    """From steps over one tensor of one element and over many; the cheapest first."""
    one, many = OVERHEAD
    found = []
    for name in _names(record, "overhead", one.name, 1):
        small = record.heat("overhead", one.name, 1, name)
        large = record.heat("overhead", many.name, 1, name)
        if small is None or large is None:
            continue
        call = statistics.median(small.seconds[name])
        rest = statistics.median(large.seconds[name]) - call
        each = rest / (many.tensors - one.tensors)
        found.append(Overhead(name, title(name), 1e6 * call, 1e6 * each))
    return sorted(found, key=lambda row: row.tensor)


def heading(heat: Heat) -> str:
    """What a heat was: "GPT-2 small: 148 tensors, 124.4 M parameters; 2 threads, wall time"."""
    threads = "1 thread" if heat.threads == 1 else f"{heat.threads} threads"
    return (
        f"{model(heat.shape).title}: {count(heat.tensors, 'tensor')}, "
        f"{count(heat.parameters, 'parameter')}; {threads}, {heat.clock}"
    )


def count(number: int, thing: str) -> str:
    """A number of things, in millions with four digits from a million on."""
    if number >= 1_000_000:
        return f"{number / 1e6:.4g} M {thing}s"
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def thread_load(
    record: BenchRecord, part: Part, shape: str, threads: int
) -> tuple[float, float] | None:
    """Smallest and largest load average over all heats of that shape."""
    those = [
        heat.load
        for heat in record.heats
        if (heat.part, heat.shape, heat.threads) == (part, shape, threads) and heat.load
    ]
    if not those:
        return None
    return min(low for low, _ in those), max(high for _, high in those)


def _moves_28(name: str) -> bool:
    """Whether it reads and writes what the ceiling does: float32 θ, g, m and s."""
    known = CONTENDERS.get(name)
    return known is None or (known.dtype.itemsize == 4 and known.state == 8)


def _names(record: BenchRecord, part: Part, shape: str, threads: int) -> list[str]:
    found: dict[str, None] = {}
    for heat in record.heats:
        if (heat.part, heat.shape, heat.threads) == (part, shape, threads):
            found |= dict.fromkeys(heat.seconds)
    return list(found)
