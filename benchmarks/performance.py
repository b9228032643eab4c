"""Write the tables of docs/performance.md and its figure from a record of `adabelief bench`.

    python -m benchmarks.performance
    python -m benchmarks.performance --record FILE.json    # prints the tables of another record

`make bench` measures and does the first. The figure lies beside the record.
"""

from __future__ import annotations

import statistics

from adabelief.step.paths import FOREACH_CPU_BELOW
from adabelief_lab.bench.candidates import BASELINE, CANDIDATES, CEILING, title
from adabelief_lab.bench.harness import NOTHING, Benchmark, Ratio, Table
from adabelief_lab.bench.models import model
from adabelief_lab.bench.record import BenchRecord, read_record
from adabelief_lab.bench.tables import memory, overhead, rows
from benchmarks import DOCS, RECORDS
from benchmarks.figure import png
from benchmarks.targets import targets

MISSING = "Not measured."


def measured_with(record: BenchRecord) -> str:
    """The machine, the versions, and when it was."""
    facts = record.machine
    caches = ", ".join(f"{level} {size}" for level, size in facts.get("caches", {}).items())
    versions = ", ".join(f"{name} {number}" for name, number in facts.get("versions", {}).items())
    chosen = facts.get("instructions", {})
    return (
        f"{facts.get('processor', 'unknown processor')}, {facts.get('cores')} cores, "
        f"{facts.get('memory_gib')} GiB; caches {caches or 'unknown'}; instructions: torch "
        f"{chosen.get('torch')}, our kernel {chosen.get('adabelief')}; huge pages "
        f"{facts.get('huge_pages')}.\n"
        f"Python {facts.get('python')}, torch build {facts.get('torch')}; {versions}.\n"
        f"Begun {record.started}, finished {record.finished or 'never'}."
        + ("" if record.complete else " **The run was stopped: the record is not complete.**")
    )


def reached(record: BenchRecord) -> str:
    """Every target beside its measurement."""
    said = {True: "yes", False: "**no**", None: NOTHING}
    lines = [(*target[:3], said[target.reached]) for target in targets(record)]
    return str(Table(("what", "target", "measured", "reached"), lines))


def speed(record: BenchRecord) -> str:
    """A heading and a table for each number of threads."""
    parts = []
    for threads in record.threads():
        shapes = record.shapes("speed", threads)
        found = {s: {row.name: row for row in rows(record, "speed", s, threads)} for s in shapes}
        lines = [
            (title(name), *(_ratio(found[s][name].ratio if name in found[s] else None)
                            for s in shapes))
            for name in CANDIDATES if any(name in ran for ran in found.values())
        ]  # fmt: skip
        heads = (f"× {title(BASELINE)}", *(model(shape).title for shape in shapes))
        much = "One thread, CPU time" if threads == 1 else f"{threads} threads, wall time"
        parts.append(f"## {much}\n\n{Table(heads, lines)}")
    return "\n\n".join(parts) or MISSING


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return NOTHING
    digits = 3 if ratio.median < 0.1 else 2
    return f"{ratio.median:.{digits}f} ({ratio.low:.{digits}f}–{ratio.high:.{digits}f})"


def ceiling(record: BenchRecord) -> str:
    """How near to the memory's speed those come that move 28 bytes per parameter."""
    found = {
        (shape, threads): {
            row.name: row.of_ceiling for row in rows(record, "speed", shape, threads)
        }
        for threads in record.threads()
        for shape in record.shapes("speed", threads)
        if record.timing("speed", shape, threads, CEILING)
    }
    lines = [
        (title(name), *(_percent(ratios.get(name)) for ratios in found.values()))
        for name in CANDIDATES if any(ratios.get(name) for ratios in found.values())
    ]  # fmt: skip
    heads = ("% of ceiling", *(f"{model(shape).title}, {threads} thr." for shape, threads in found))
    return str(Table(heads, lines)) if found else MISSING


def _percent(ratio: Ratio | None) -> str:
    if ratio is None:
        return NOTHING
    return f"{100 * ratio.median:.0f} ({100 * ratio.low:.0f}–{100 * ratio.high:.0f})"


def bytes_used(record: BenchRecord) -> str:
    """The model and the table of memory."""
    if not record.memory:
        return MISSING
    return f"Parameters of {model(record.memory[0].shape).title}.\n\n{memory(record)}"


def paths(record: BenchRecord) -> str:
    """Where the loop overtakes foreach: for machines without the kernel."""
    shapes = record.shapes("paths", 1)
    names = [
        name
        for name in CANDIDATES
        if any(record.ratio("paths", s, 1, name, "loop") for s in shapes)
    ]
    lines = [
        (model(s).title, *(_ratio(record.ratio("paths", s, 1, name, "loop")) for name in names))
        for s in shapes
    ]
    table = Table(("tensors × elements", *(title(name) for name in names)), lines)
    return (
        "Where the kernel does not apply, `foreach=None` takes foreach for tensors of fewer than "
        f"{FOREACH_CPU_BELOW:,} elements and the loop for others.\n\n{table if shapes else MISSING}"
    )


def rounds(record: BenchRecord) -> str:
    """How much was measured, and what else the machine did meanwhile."""
    lines = []
    for threads in record.threads():
        for shape in record.shapes("speed", threads):
            load = record.load("speed", shape, threads)
            timing = record.timing("speed", shape, threads, BASELINE)
            if timing is None:
                continue
            fewest = min(one.rounds for one in record.among("speed", shape, threads))
            line = (
                model(shape).title, str(threads), f"{timing.tensors:,}", f"{timing.parameters:,}",
                f"{1e3 * statistics.median(timing.seconds[BASELINE]):.3g}",
                f"{timing.rounds} / {fewest}", f"{load[0]:.1f}–{load[1]:.1f}" if load else NOTHING,
            )  # fmt: skip
            lines.append(line)
    heads = (
        "shape", "threads", "tensors", "parameters", f"ms, {title(BASELINE)}",
        "rounds (near / far)", "load average",
    )  # fmt: skip
    return str(Table(heads, lines))


def limits(record: BenchRecord) -> str:
    """What is not in the record."""
    most = max(record.threads(), default=1)
    lines = [f"More than {most} threads, several sockets, other processors than the one above."]
    lines += [f"Left out: {name}: {why}" for name, why in record.left_out.items()]
    return "\n".join(f"- {line}" for line in lines)


BENCHMARK = Benchmark(
    about=__doc__,
    record=RECORDS / "performance.json",
    page=DOCS / "performance.md",
    sections={
        "machine": measured_with,
        "targets": reached,
        "speed": speed,
        "ceiling": ceiling,
        "overhead": lambda record: str(overhead(record) or MISSING),
        "memory": bytes_used,
        "paths": paths,
        "rounds": rounds,
        "limits": limits,
    },
    figure=lambda record: png(record, threads=1),
    read=read_record,
)

if __name__ == "__main__":
    BENCHMARK.command()
