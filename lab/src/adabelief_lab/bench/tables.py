"""Tables of a record, for the terminal and for the page alike. Pure functions."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from adabelief_lab.bench.candidates import BASELINE, CANDIDATES, CEILING, kind, title
from adabelief_lab.bench.harness import NOTHING, Ratio, Table
from adabelief_lab.bench.models import model
from adabelief_lab.bench.record import BenchRecord, Part, Timing
from adabelief_lab.bench.session import OVERHEAD


@dataclass(frozen=True)
class Row:
    """One candidate against the baseline.

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


def rows(record: BenchRecord, part: Part, shape: str, threads: int) -> list[Row]:
    """All candidates that ran on that shape with so many threads, the fastest first."""
    found = []
    for name in record.names(part, shape, threads):
        timing = record.timing(part, shape, threads, name, BASELINE)
        if timing is None:
            continue
        compared = name != CEILING and _moves_28(name)
        row = Row(
            name,
            title(name),
            kind(name),
            1e3 * statistics.median(timing.seconds[name]),
            timing.ratio(name, BASELINE),
            record.ratio(part, shape, threads, CEILING, name) if compared else None,
        )
        found.append(row)
    return sorted(found, key=lambda row: row.ratio.median)


def _moves_28(name: str) -> bool:
    """Whether it reads and writes what the ceiling does: float32 θ, g, m and s."""
    known = CANDIDATES.get(name)
    return known is None or (known.dtype.itemsize == 4 and known.state == 8)


def times(found: list[Row]) -> Table:
    """All that is known of each candidate on one shape."""
    heads = ("optimizer", "ms", f"× {title(BASELINE)}", "quartiles", "of ceiling", "rounds")
    lines = [
        (
            row.title,
            f"{row.milliseconds:.3g}" if row.milliseconds < 1000 else f"{row.milliseconds:.0f}",
            f"{row.ratio.median:.2f}",
            f"{row.ratio.low:.2f} to {row.ratio.high:.2f}",
            f"{100 * row.of_ceiling.median:.0f} %" if row.of_ceiling else NOTHING,
            str(row.ratio.rounds),
        )
        for row in found
    ]
    return Table(heads, lines)


def heading(timing: Timing) -> str:
    """What was timed: "GPT-2 small: 148 tensors, 124.4 M parameters; 2 threads, wall time"."""
    return (
        f"{model(timing.shape).title}: {count(timing.tensors, 'tensor')}, "
        f"{count(timing.parameters, 'parameter')}; {count(timing.threads, 'thread')}, "
        f"{timing.clock}"
    )


def count(number: int, thing: str) -> str:
    """A number of things, in millions with four digits from a million on."""
    if number >= 1_000_000:
        return f"{number / 1e6:.4g} M {thing}s"
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def overhead(record: BenchRecord) -> Table | None:
    """What a step costs without arithmetic: a call, and each further tensor; the cheapest first."""
    one, many = OVERHEAD
    found = []
    for name in record.names("overhead", one.name, 1):
        small = record.timing("overhead", one.name, 1, name)
        large = record.timing("overhead", many.name, 1, name)
        if small and large:
            call, all_ = (statistics.median(timing.seconds[name]) for timing in (small, large))
            found.append(((all_ - call) / (many.tensors - one.tensors), call, title(name)))
    lines = [(name, f"{1e6 * call:.0f}", f"{1e6 * each:.2f}") for each, call, name in sorted(found)]
    heads = ("optimizer", "µs for one tensor", "µs for each further tensor")
    return Table(heads, lines) if lines else None


def memory(record: BenchRecord) -> Table | None:
    """Bytes for each parameter."""
    lines = []
    for one in record.memory:
        peak = one.peak_per_parameter
        shown = NOTHING if peak is None else f"{peak:.1f}"
        lines.append((title(one.candidate), f"{one.state_per_parameter:.3f}", shown))
    heads = ("bytes per parameter", "state", "state and temporary arrays at the peak")
    return Table(heads, lines) if lines else None
