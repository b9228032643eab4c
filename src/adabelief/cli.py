"""The command line: compare, status, report, list, bench."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from adabelief.bench.command import Request, fill, prepare
from adabelief.bench.display import tables
from adabelief.lab.analysis.analyze import analyze
from adabelief.lab.compare import Show, conduct, declare, records_of, results_of
from adabelief.lab.contract import preset_of, rehearse
from adabelief.lab.engine import LocalEngine
from adabelief.lab.environment import environment
from adabelief.lab.errors import LabError
from adabelief.lab.files import replace
from adabelief.lab.load import load
from adabelief.lab.progress import Clock, Progress, progress
from adabelief.lab.progress import table as progress_table
from adabelief.lab.report import write
from adabelief.lab.report.tables import terminal
from adabelief.lab.rivals import RIVALS, resolve
from adabelief.lab.store import Store
from adabelief.lab.study import Study
from adabelief.lab.workloads import WORKLOADS

SUBJECT = "adabelief"
# What a shell expects of a program ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED = 130
# Columns: tables are at most this wide.
WIDTH = 100

app = typer.Typer(
    help="AdaBelief's laboratory: compare optimizers with equal budgets and paired seeds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _console(stream: TextIO) -> Console:
    """A console for the stream. A pipe or a log has no width: it gets WIDTH, not rich's 80."""
    if stream.isatty() or "COLUMNS" in os.environ:
        return Console(stderr=stream is sys.stderr)
    # rich takes a width without a height for nothing where TERM is "dumb".
    return Console(stderr=stream is sys.stderr, width=WIDTH, height=25)


console = _console(sys.stdout)
errors = _console(sys.stderr)

Out = Annotated[Path, typer.Argument(help="A study's folder, as `compare` made it.")]


@app.command()
def compare(
    workload: Annotated[
        str, typer.Argument(help="A workload (see `adabelief list`), or your own: FILE.py:NAME.")
    ] = "fashion-mnist",
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Rivals of AdaBelief, separated by commas; also package.module:Class. "
            "All of `adabelief list` if not given.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Paired seeds of the final runs.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Points of its search space for every optimizer.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Size of the comparison.")] = "quick",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one for each processor if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; adabelief-out/WORKLOAD-PRESET if not given.")
    ] = None,
) -> None:
    """Tune every optimizer equally, run each on fresh paired seeds, and report.

    Stopped at any moment, even by kill -9, the same command goes on where it was.
    """
    # A rival's package.module may lie in the user's folder, as with python -m; workers inherit it.
    sys.path.append(str(Path.cwd()))
    with _explained():
        loaded = load(workload)
        rivals = resolve(_names(against))
        study = declare(loaded, preset, rivals, trials, seeds)
        folder = out or Path("adabelief-out") / f"{study.workload}-{study.preset}"
        store = Store(folder)
        rehearse(loaded.workload, preset_of(loaded.workload, preset))
        store.open(study)
        _run(study, store, loaded.source or workload, workers or os.cpu_count() or 1)
        _report(study, store)


@app.command()
def status(folder: Out) -> None:
    """Show how far a study is, from any terminal, while it runs or afterwards."""
    with _explained():
        store = Store(folder)
        study = store.study()
        results = results_of(study, store)
        partial = {
            record.run.key: store.folder(record.run).step() for record in records_of(study, store)
        }
        console.print(progress_table(study, progress(study, results, partial)))


@app.command()
def report(folder: Out) -> None:
    """Write the report again from a study's folder; of an unfinished study, what there is."""
    with _explained():
        store = Store(folder)
        _report(store.study(), store)


@app.command(name="list")
def list_() -> None:
    """List workloads with their presets, and rivals with their search spaces."""
    workloads = Table(title="Workloads", title_justify="left")
    for head in ("name", "preset", "what", "steps", "trials", "seeds"):
        workloads.add_column(head, overflow="fold")
    for workload in WORKLOADS.values():
        for name, preset in workload.presets.items():
            numbers = (preset.steps, preset.trials, preset.seeds)
            workloads.add_row(workload.name, name, workload.title, *map(str, numbers))
    rivals = Table(title="Rivals", title_justify="left")
    for head in ("name", "optimizer", "fixed", "searched"):
        rivals.add_column(head, overflow="fold")
    for rival in RIVALS.values():
        fixed = ", ".join(f"{name}={value}" for name, value in rival.defaults.items())
        searched = ", ".join(f"{n} {r.low:g}..{r.high:g}" for n, r in rival.space.items())
        rivals.add_row(rival.name, rival.optimizer, fixed, searched)
    console.print(workloads)
    console.print(rivals)


@app.command()
def bench(
    shapes: Annotated[
        str | None,
        typer.Option(
            help="Whose parameters: 16m, resnet34, densenet121, gpt2, or TENSORSxELEMENTS such as "
            "364x1024; separated by commas. If given, nothing but their steps is measured.",
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Numbers of threads, separated by commas.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Rounds; contenders that are several times slower have fewer."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Others, such as timm,adam-foreach, and other paths of ours, such as loop. "
            "All that are installed if not given.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A file for all times of all rounds, as JSON.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small shapes, one thread, few rounds: seconds.")
    ] = False,
) -> None:
    """Time a step beside torch's Adam, other AdaBeliefs, and memory itself.

    All take turns in one process, in shuffled rounds; shown are median and quartiles of the
    ratios to torch.optim.Adam(fused=True) within a round, so that what else the machine does
    falls out. One thread is timed by its own CPU time, more by the wall's. Without --shapes also
    a step without arithmetic, our paths by size of tensor, and memory.
    """
    with _explained():
        try:
            request = Request(shapes, threads, rounds, against, quick)
            record, jobs = prepare(request, environment(), _command())
        except ValueError as error:
            raise LabError(str(error)) from None
        for name, reason in record.left_out.items():
            errors.print(f"Left out: {name}: {reason}", highlight=False, markup=False)

        def save() -> None:
            if out:
                replace(out, record.json_text().encode())

        save()  # a file that cannot be written is found before the work is done
        stopped = False
        try:
            fill(record, jobs, errors, save)
        except KeyboardInterrupt:
            stopped = True
        except RuntimeError as error:
            raise LabError(str(error)) from None
        for table in tables(record, min(WIDTH, console.width)):
            console.print(table)
        if out:
            console.print(f"Record: {out}", soft_wrap=True, highlight=False)
        if stopped:
            errors.print("\nStopped: this is what was measured so far.", highlight=False)
            raise typer.Exit(INTERRUPTED)


def _names(against: list[str] | None) -> list[str]:
    """The subject first, then the rivals, each once."""
    if not against:
        return [SUBJECT, *(name for name in RIVALS if name != SUBJECT)]
    given = [name.strip() for part in against for name in part.split(",") if name.strip()]
    return list(dict.fromkeys([SUBJECT, *given]))


def _run(study: Study, store: Store, reference: str, workers: int) -> None:
    """Execute the study with live progress; on Ctrl-C say how to go on."""
    begun = progress(study, results_of(study, store))
    done = f", {begun.runs} of them finished before" if begun.runs else ""
    console.print(
        f"{study.title}\n{begun.total_runs} runs of {study.settings.steps} steps "
        f"({study.settings.trials} tuning trials and {study.settings.seeds} seeds for each of "
        f"{len(study.rivals)} optimizers){done}; {workers} workers; folder {store.root}",
        highlight=False,
        markup=False,
    )
    engine = LocalEngine(store.root, reference, workers)
    clock = Clock(begun.steps)
    try:
        with _display(study, clock) as show:
            conduct(study, store, engine, show, lambda text: errors.print(f"Note: {text}"))
    except KeyboardInterrupt:
        errors.print(
            f"\nStopped. Nothing finished is lost; go on with\n  {_command()}", highlight=False
        )
        raise typer.Exit(INTERRUPTED) from None
    finally:
        engine.stop()


@contextmanager
def _display(study: Study, clock: Clock) -> Iterator[Show]:
    """Show progress as a live table on a terminal, as a line now and then elsewhere."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda now: live.update(progress_table(study, now, clock.left(now)))
        return
    shown = [-1]

    def line(now: Progress) -> None:
        tenth = 10 * now.runs // now.total_runs
        if tenth > shown[0]:
            shown[0] = tenth
            console.print(f"{now.runs} of {now.total_runs} runs{clock.left(now)}", highlight=False)

    yield line


def _report(study: Study, store: Store) -> None:
    """Print the table and write the report; its path is the last line."""
    records = records_of(study, store)
    found = analyze(study, records)
    console.print(terminal(found, width=min(WIDTH, console.width)))
    console.print(found.headline, markup=False, highlight=False)
    try:
        path = write(found, records, store.root)
    except ImportError as error:  # the numbers are there; only the page is not
        msg = f"{error}; then: adabelief report {shlex.quote(str(store.root))}"
        raise LabError(msg) from None
    console.print(f"Report: {path}", soft_wrap=True, highlight=False)


def _command() -> str:
    return "adabelief " + shlex.join(sys.argv[1:])


@contextmanager
def _explained() -> Iterator[None]:
    """A mistake ends with its message and exit code 1, not with a traceback."""
    try:
        yield
    except LabError as error:
        errors.print(f"adabelief: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(1) from None
