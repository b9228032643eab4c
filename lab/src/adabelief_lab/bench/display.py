"""A benchmark on a terminal: progress while it runs, tables afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as RichTable
from rich.text import Text

from adabelief_lab.bench.candidates import title
from adabelief_lab.bench.harness import Table
from adabelief_lab.bench.record import PARTS, BenchRecord
from adabelief_lab.bench.session import Job
from adabelief_lab.bench.tables import heading, memory, overhead, rows, times

STYLE = {"ours": "bold", "ceiling": "dim", "torch": "", "peer": ""}


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
        return f"memory: {title(job.candidates[0].name)}"
    return f"{job.part}: {job.model.title}, {len(job.candidates)} candidates"


def tables(record: BenchRecord, width: int) -> Iterator[RichTable]:
    """All that the record has, `width` columns wide at most."""
    for part in PARTS:
        if part == "overhead":
            name = "A step without arithmetic: one element in each tensor; 1 thread"
            yield from _shown(name, overhead(record), width)
        elif part == "memory":
            yield from _shown("Memory", memory(record), width)
        else:
            for shape in record.shapes(part):
                for threads in sorted({one.threads for one in record.timings}):
                    for timing in record.among(part, shape, threads)[:1]:
                        found = rows(record, part, shape, threads)
                        load = record.load(part, shape, threads)
                        yield from _shown(
                            heading(timing), times(found), width,
                            [STYLE[row.kind] for row in found],
                            f"load average {load[0]:.2f} to {load[1]:.2f}" if load else None,
                        )  # fmt: skip


def _shown(
    name: str,
    table: Table | None,
    width: int,
    styles: Sequence[str] = (),
    caption: str | None = None,
) -> Iterator[RichTable]:
    """The table for a terminal, if there is one."""
    if table is None:
        return
    shown = RichTable(
        title=Text(name, style="bold"), title_justify="left", caption_justify="left",
        caption=Text(caption) if caption else None, width=width, box=SIMPLE_HEAD,
    )  # fmt: skip
    for column, head in enumerate(table.heads):
        if column in table.text:
            shown.add_column(head, overflow="fold", ratio=1)
        else:
            shown.add_column(head, justify="right", no_wrap=True)
    for number, row in enumerate(table.rows):
        shown.add_row(*row, style=styles[number] if styles else None)
    yield shown
