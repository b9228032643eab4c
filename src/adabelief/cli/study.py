"""compare, status, report: a study from its declaration to its page."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from adabelief.cli.screen import INTERRUPTED, WIDTH, command, console, errors, explained
from adabelief.lab.analysis.analyze import analyze
from adabelief.lab.compare import Show, conduct, declare, records_of, results_of
from adabelief.lab.contract import preset_of, rehearse
from adabelief.lab.engine import LocalEngine
from adabelief.lab.errors import LabError
from adabelief.lab.load import load
from adabelief.lab.progress import Clock, Progress, progress
from adabelief.lab.progress import table as progress_table
from adabelief.lab.report import write
from adabelief.lab.report.tables import terminal
from adabelief.lab.rivals import Search, expand, resolve
from adabelief.lab.store import Store
from adabelief.lab.study import Study

SUBJECT = "adabelief"

Out = Annotated[Path, typer.Argument(help="A study's folder, as `compare` made it.")]


def compare(
    workload: Annotated[
        str, typer.Argument(help="A workload (see `adabelief list`), or your own: FILE.py:NAME.")
    ] = "fashion-mnist",
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Rivals of AdaBelief, separated by commas: names of `adabelief list`, "
            "package.module:Class, and WRAPPER+NAME. Groups: default, paper, all.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Paired seeds of the final runs.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Points of its search space for every optimizer.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Size of the comparison.")] = "quick",
    search: Annotated[
        Search | None,
        typer.Option(
            help="What is tuned: lr alone; the whole space, with decay and eps; or the grids of "
            "the AdaBelief paper, which are not equal. The preset's if not given.",
        ),
    ] = None,
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
    with explained():
        loaded = load(workload)
        rivals = resolve(_names(against))
        study = declare(loaded, preset, rivals, trials, seeds, search)
        folder = out or Path("adabelief-out") / f"{study.workload}-{study.preset}"
        store = Store(folder)
        rehearse(loaded.workload, preset_of(loaded.workload, preset))
        store.open(study)
        _run(study, store, loaded.source or workload, workers or os.cpu_count() or 1)
        _report(study, store)


def status(folder: Out) -> None:
    """Show how far a study is, from any terminal, while it runs or afterwards."""
    with explained():
        store = Store(folder)
        study = store.study()
        results = results_of(study, store)
        partial = {
            record.run.key: store.folder(record.run).step() for record in records_of(study, store)
        }
        console.print(progress_table(study, progress(study, results, partial)))


def report(folder: Out) -> None:
    """Write the report again from a study's folder; of an unfinished study, what there is."""
    with explained():
        store = Store(folder)
        _report(store.study(), store)


def _names(against: list[str] | None) -> list[str]:
    """AdaBelief first, then the others as given, each once."""
    given = [part.strip() for each in against or ["default"] for part in each.split(",")]
    return expand([SUBJECT, *(name for name in given if name)])


def _trials(study: Study) -> str:
    if study.settings.search == "paper":
        return "tuning over the grids of the paper"
    return f"{study.settings.trials} tuning trials"


def _run(study: Study, store: Store, reference: str, workers: int) -> None:
    """Execute the study with live progress; on Ctrl-C say how to go on."""
    begun = progress(study, results_of(study, store))
    done = f", {begun.runs} of them finished before" if begun.runs else ""
    console.print(
        f"{study.title}\n{begun.total_runs} runs of {study.settings.steps} steps "
        f"({_trials(study)} and {study.settings.seeds} seeds for each of "
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
            f"\nStopped. Nothing finished is lost; go on with\n  {command()}", highlight=False
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
