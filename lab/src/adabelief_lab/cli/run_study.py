"""A study run to its end before somebody's eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.live import Live

from adabelief_lab.cli.console import INTERRUPTED, command, console, errors, hurry
from adabelief_lab.common.plurals import count
from adabelief_lab.conduct.compare import Show, conduct, results_of
from adabelief_lab.conduct.local_engine import Engine
from adabelief_lab.conduct.progress import Clock, Progress, progress
from adabelief_lab.conduct.progress import table as progress_table
from adabelief_lab.declare.study import Study
from adabelief_lab.store.study_folder import Store


def run(study: Study, store: Store, start: Callable[[], Engine], where: str) -> None:
    """Execute the study with live progress; on Ctrl-C say how to go on."""
    begun = progress(study, results_of(study, store))
    done = f", {begun.runs} of them finished before" if begun.runs else ""
    console.print(
        f"{study.title}\n{count(begun.total_runs, 'run')} of {count(study.settings.steps, 'step')} "
        f"({_trials(study)} and {count(study.settings.seeds, 'seed')} for each of "
        f"{count(len(study.optimizers), 'optimizer')}){done}; {where}; folder {store.root}",
        highlight=False,
        markup=False,
    )
    engine = start()
    clock = Clock(begun.steps)
    try:
        with _display(study, clock) as show:
            conduct(study, store, engine, show, lambda text: errors.print(f"Note: {text}"))
    except KeyboardInterrupt:
        hurry()
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
            console.print(
                f"{now.runs} of {count(now.total_runs, 'run')}{clock.left(now)}", highlight=False
            )

    yield line


def _trials(study: Study) -> str:
    if study.settings.search == "paper":
        return "tuning over the grids of the paper"
    if study.settings.search == "published":
        return "published settings"
    return count(study.settings.trials, "tuning trial")
