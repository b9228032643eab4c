"""Write docs/performance.md and its figure from a record of `adabelief bench`.

    python -m benchmarks.performance docs/performance.json

`make bench` does both. The page lies beside the record.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import png
from benchmarks.reach import reach

from adabelief.step.paths import FOREACH_CPU_BELOW
from adabelief_lab.bench.candidates import BASELINE, CEILING, CONTENDERS, OURS
from adabelief_lab.bench.models import model
from adabelief_lab.bench.ratios import Ratio
from adabelief_lab.bench.record import BenchRecord, read_record
from adabelief_lab.bench.rows import TableRow, overhead, rows, thread_load, title

NOTHING = "–"


def page(record: BenchRecord, source: str, picture: str) -> str:
    """The page in Markdown.

    Args:
        record: whole or stopped; what it lacks is shown as not measured.
        source: name of the record's file, for the link.
        picture: name of the figure's file.
    """
    sections = [
        _head(record, source, picture),
        _reach(record),
        *(_speed(record, threads) for threads in record.threads()),
        _ceiling(record),
        _overhead(record),
        _memory(record),
        _paths(record),
        _rounds(record),
        _limits(record),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(record: BenchRecord, source: str, picture: str) -> str:
    whole = "" if record.complete else " **The run was stopped: not all is here.**"
    threads = record.threads()
    shown = f"\n\n![Times of a step, one thread]({picture})" if 1 in threads else ""
    return (
        "# Performance\n\n"
        f"Written by `make bench`; every time of every round is in [{source}]({source}).{whole}\n\n"
        f"{_machine(record)}\n\n"
        "All contenders take turns in one process, in shuffled rounds, on the same parameters and "
        "gradients; each has its own state. A number is the median over rounds of its time divided "
        f"by the time of `torch.optim.Adam(fused=True)` in the same round, and in brackets the "
        "quartiles of these ratios. One thread is measured by its CPU time, two by the wall's, "
        "which other work on the machine disturbs. Absolute times mean little on a shared machine."
        f"{shown}"
    )


def _machine(record: BenchRecord) -> str:
    facts = record.machine
    caches = ", ".join(f"{level} {size}" for level, size in facts.get("caches", {}).items())
    versions = ", ".join(f"{name} {number}" for name, number in facts.get("versions", {}).items())
    chosen = facts.get("instructions", {})
    lines = [
        f"{facts.get('processor', 'unknown processor')}, {facts.get('cores')} cores, "
        f"{facts.get('memory_gib')} GiB; caches {caches or 'unknown'}; instructions: torch "
        f"{chosen.get('torch')}, our kernel {chosen.get('adabelief')}; huge pages "
        f"{facts.get('huge_pages')}.",
        f"Python {facts.get('python')}, torch build {facts.get('torch')}; {versions}.",
        f"Begun {record.started}, finished {record.finished or 'never'}.",
    ]
    return "\n".join(lines)


def _reach(record: BenchRecord) -> str:
    lines = [
        (one.what, one.target, one.measured, {True: "yes", False: "**no**", None: NOTHING}[one.yes])
        for one in reach(record)
    ]
    return (
        "## Reach\n\n"
        "One thread. The targets were set before the kernel was written, on another processor.\n\n"
        f"{_table(('what', 'target', 'measured', 'reached'), lines)}"
    )


def _speed(record: BenchRecord, threads: int) -> str:
    shapes = record.shapes("speed", threads)
    by_shape = {
        shape: {row.name: row for row in rows(record, "speed", shape, threads)} for shape in shapes
    }
    names = [name for name in CONTENDERS if any(name in found for found in by_shape.values())]
    lines = [
        (title(name), *(_cell(by_shape[shape].get(name)) for shape in shapes)) for name in names
    ]
    heads = ("× " + title(BASELINE), *(model(shape).title for shape in shapes))
    much = "One thread, CPU time" if threads == 1 else f"{threads} threads, wall time"
    return f"## {much}\n\n{_table(heads, lines)}"


def _cell(row: TableRow | None) -> str:
    return NOTHING if row is None else _ratio(row.ratio)


def _ratio(ratio: Ratio) -> str:
    digits = 3 if ratio.median < 0.1 else 2
    return f"{ratio.median:.{digits}f} ({ratio.low:.{digits}f}–{ratio.high:.{digits}f})"


def _ceiling(record: BenchRecord) -> str:
    """How near to the memory's speed those come that move 28 bytes per parameter."""
    columns = [
        (shape, threads)
        for threads in record.threads()
        for shape in record.shapes("speed", threads)
        if record.heat("speed", shape, threads, CEILING)
    ]
    if not columns:
        return ""
    parts = {
        column: {row.name: row.of_ceiling for row in rows(record, "speed", *column)}
        for column in columns
    }
    names = [name for name in CONTENDERS if any(found.get(name) for found in parts.values())]
    lines = []
    for name in names:
        found = [parts[column].get(name) for column in columns]
        lines.append((title(name), *(_percent(ratio) for ratio in found)))
    heads = ("% of ceiling", *(f"{model(shape).title}, {n} thr." for shape, n in columns))
    return (
        "## Against memory itself\n\n"
        "The ceiling reads θ, g, m, s and writes θ, m, s with hardly any arithmetic, by the same "
        "threads with the same prefetching, in the same rounds: 28 bytes for each parameter, as a "
        "step with float32 state. Models that fit into a cache have none.\n\n"
        f"{_table(heads, lines)}"
    )


def _percent(ratio: Ratio | None) -> str:
    if ratio is None:
        return NOTHING
    return f"{100 * ratio.median:.0f} ({100 * ratio.low:.0f}–{100 * ratio.high:.0f})"


def _overhead(record: BenchRecord) -> str:
    found = overhead(record)
    if not found:
        return ""
    lines = [(row.title, f"{row.call:.0f}", f"{row.tensor:.2f}") for row in found]
    heads = ("optimizer", "µs for one tensor", "µs for each further tensor")
    return (
        "## A step without arithmetic\n\n"
        "Tensors of one element, one thread, CPU time; medians.\n\n" + _table(heads, lines)
    )


def _memory(record: BenchRecord) -> str:
    if not record.memory:
        return ""
    lines = []
    for one in record.memory:
        peak = one.peak_per_parameter
        shown = NOTHING if peak is None else f"{peak:.1f}"
        lines.append((title(one.contender), f"{one.state_per_parameter:.3f}", shown))
    shape = record.memory[0].shape
    heads = ("bytes per parameter", "state", "state and temporary arrays at the peak")
    return (
        "## Memory\n\n"
        f"Parameters of {model(shape).title}. State: the storages of all tensors in the "
        "optimizer's state. Peak: growth of the resident memory of a fresh process over its first "
        f"three steps.\n\n{_table(heads, lines)}"
    )


def _paths(record: BenchRecord) -> str:
    """Where the loop overtakes foreach: for machines without the kernel."""
    shapes = record.shapes("paths", 1)
    if not shapes:
        return ""
    names = [
        name for name in CONTENDERS if any(record.heat("paths", s, 1, name, "loop") for s in shapes)
    ]
    lines = []
    for shape in shapes:
        ratios = [record.ratio("paths", shape, 1, name, "loop") for name in names]
        cells = [NOTHING if ratio is None else _ratio(ratio) for ratio in ratios]
        lines.append((model(shape).title, *cells))
    heads = ("tensors × elements", *(title(name) for name in names))
    return (
        "## Loop or foreach, where there is no kernel\n\n"
        "In times of our loop, one thread, CPU time. Where the kernel does not apply, "
        f"`foreach=None` takes foreach for tensors of fewer than {FOREACH_CPU_BELOW:,} elements "
        f"and the loop for others.\n\n{_table(heads, lines)}"
    )


def _rounds(record: BenchRecord) -> str:
    lines = []
    for threads in record.threads():
        for shape in record.shapes("speed", threads):
            heat = record.heat("speed", shape, threads, BASELINE)
            busy = thread_load(record, "speed", shape, threads)
            if heat is None:
                continue
            fewest = min(
                one.rounds
                for one in record.heats
                if (one.part, one.shape, one.threads) == ("speed", shape, threads)
            )
            median = 1e3 * statistics.median(heat.seconds[BASELINE])
            lines.append(
                (
                    model(shape).title,
                    str(threads),
                    f"{heat.tensors:,}",
                    f"{heat.parameters:,}",
                    f"{median:.3g}",
                    f"{heat.rounds} / {fewest}",
                    NOTHING if busy is None else f"{busy[0]:.1f}–{busy[1]:.1f}",
                )
            )
    heads = (
        "shape", "threads", "tensors", "parameters", f"ms, {title(BASELINE)}",
        "rounds (near / far)", "load average",
    )  # fmt: skip
    return (
        "## Rounds and load\n\n"
        f"Contenders whose time is near {title(BASELINE)}'s have more rounds than those that are "
        "several times slower. Where all do not fit into memory at once they run in several heats, "
        f"each with {title(BASELINE)} and {title(OURS)} in it.\n\n{_table(heads, lines)}"
    )


def _limits(record: BenchRecord) -> str:
    left_out = "".join(f"\n- Left out: {name}: {why}" for name, why in record.left_out.items())
    most = max(record.threads(), default=1)
    return (
        "## What was not measured\n\n"
        "- CUDA was not run: there was no GPU. `benchmarks/cuda.py` is for a machine with one.\n"
        f"- More than {most} threads, several sockets, and other processors than the one above."
        f"{left_out}"
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    return "\n".join(_lines(heads, lines))


def _lines(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * (len(heads) - 1)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def main() -> None:
    """Write the page and the figure beside the record."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.performance RECORD.json")
    source = Path(sys.argv[1])
    try:
        record = read_record(source)
    except ValueError as error:
        sys.exit(str(error))
    picture = source.with_suffix(".png")
    source.with_suffix(".md").write_text(page(record, source.name, picture.name))
    if 1 in record.threads():
        picture.write_bytes(png(record, threads=1))
    print(source.with_suffix(".md"))


if __name__ == "__main__":
    main()
