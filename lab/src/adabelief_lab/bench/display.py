"""A benchmark on a terminal: progress while it runs, tables afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from adabelief_lab.bench.ratios import Ratio
from adabelief_lab.bench.record import PARTS, BenchRecord, Heat, Part
from adabelief_lab.bench.rows import TableRow, heading, overhead, rows, thread_load, title
from adabelief_lab.bench.session import Job

STYLE = {"ours": "bold", "ceiling": "dim", "torch": "", "peer": ""}
NOTHING = "–"


@contextmanager
def meter(
    console: Console, jobs: Sequence[Job]
) -> Iterator[tuple[Callable[[Job], None], Callable[[], None]]]:
    """Show how far the jobs are; yields what is to be called at a job's begin and at each tick.

    A bar on a terminal, elsewhere a line for each job.
    """
    total = sum(job.ticks for job in jobs)
    if not console.is_terminal:
        done = [0]

        def line(job: Job) -> None:
            console.print(f"{100 * done[0] // total:3d} % {_what(job)}", highlight=False)
            done[0] += job.ticks

        yield line, lambda: None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as shown:
        task = shown.add_task("", total=total)
        yield (
            lambda job: shown.update(task, description=_what(job)),
            lambda: shown.advance(task),
        )


def _what(job: Job) -> str:
    if job.part == "memory":
        return f"memory: {title(job.contenders[0].name)}"
    return f"{job.part}: {job.model.title}, {len(job.contenders)} contenders"


def tables(record: BenchRecord, width: int) -> Iterator[Table]:
    """All that the record has, `width` columns wide at most."""
    for part in PARTS:
        if part == "overhead":
            yield from _overhead(record, width)
        elif part == "memory":
            yield from _memory(record, width)
        else:
            for shape in record.shapes(part):
                for threads in sorted({h.threads for h in record.heats if h.shape == shape}):
                    if shape in record.shapes(part, threads):
                        yield _times(record, part, shape, threads, width)


def _times(record: BenchRecord, part: Part, shape: str, threads: int, width: int) -> Table:
    table = _table(heading(_first(record, part, shape, threads)), width)
    heads = ("ms", "× Adam, fused", "quartiles", "of ceiling", "rounds")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows(record, part, shape, threads):
        table.add_row(*cells(row), style=STYLE[row.kind])
    busy = thread_load(record, part, shape, threads)
    if busy:
        table.caption = Text(f"load average {busy[0]:.2f} to {busy[1]:.2f}")
    return table


def _first(record: BenchRecord, part: Part, shape: str, threads: int) -> Heat:
    return next(
        heat
        for heat in record.heats
        if (heat.part, heat.shape, heat.threads) == (part, shape, threads)
    )


def cells(row: TableRow) -> list[str]:
    """A row of a table of times, as text."""
    return [
        row.title,
        f"{row.milliseconds:.3g}" if row.milliseconds < 1000 else f"{row.milliseconds:.0f}",
        f"{row.ratio.median:.2f}",
        interval(row.ratio),
        f"{100 * row.of_ceiling.median:.0f} %" if row.of_ceiling else NOTHING,
        str(row.ratio.rounds),
    ]


def interval(ratio: Ratio) -> str:
    """The quartiles around a median."""
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _overhead(record: BenchRecord, width: int) -> Iterator[Table]:
    found = overhead(record)
    if found:
        table = _table("A step without arithmetic: one element in each tensor; 1 thread", width)
        for head in ("µs for one tensor", "µs for each further one"):
            table.add_column(head, justify="right", no_wrap=True)
        for row in found:
            table.add_row(row.title, f"{row.call:.1f}", f"{row.tensor:.2f}")
        yield table


def _memory(record: BenchRecord, width: int) -> Iterator[Table]:
    if record.memory:
        table = _table("Memory in bytes for each parameter", width)
        for head in ("state", "state and temporaries at the peak"):
            table.add_column(head, justify="right", no_wrap=True)
        for one in record.memory:
            peak = one.peak_per_parameter
            shown = NOTHING if peak is None else f"{peak:.1f}"
            table.add_row(title(one.contender), f"{one.state_per_parameter:.3f}", shown)
        yield table


def _table(name: str, width: int) -> Table:
    table = Table(
        title=Text(name, style="bold"), title_justify="left", caption_justify="left",
        width=width, box=SIMPLE_HEAD,
    )  # fmt: skip
    table.add_column("optimizer", overflow="fold", ratio=1)
    return table
