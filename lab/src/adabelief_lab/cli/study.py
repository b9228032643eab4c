"""compare, status, report: a study from its declaration to its page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.cli.console import INTERRUPTED, WIDTH, AsJson, console, explained, show_json
from adabelief_lab.cli.options import (
    Against,
    EngineName,
    How,
    OptionsGiven,
    Out,
    PresetName,
    ProcsPerRun,
    Seeds,
    Trials,
    WhatIsTuned,
    Workers,
    WorkloadName,
    as_many,
    declared,
)
from adabelief_lab.cli.run_study import run
from adabelief_lab.common.errors import LabError
from adabelief_lab.common.plurals import count
from adabelief_lab.conduct.compare import check_optimizers, code_of, records_of, results_of
from adabelief_lab.conduct.estimate import estimate
from adabelief_lab.conduct.local_engine import Engine, LocalEngine
from adabelief_lab.conduct.progress import Progress, duration, progress
from adabelief_lab.conduct.progress import table as progress_table
from adabelief_lab.declare.study import Result, Study, plan
from adabelief_lab.report import write
from adabelief_lab.report.tables import terminal
from adabelief_lab.run.validate import dry_run
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import Loaded

WATCH_SECONDS = 2.0


def compare(
    workload: WorkloadName = "fashion-mnist",
    against: Against = None,
    seeds: Seeds = None,
    trials: Trials = None,
    preset: PresetName = "quick",
    search: WhatIsTuned = None,
    workers: Workers = None,
    procs_per_run: ProcsPerRun = None,
    parallel: How = None,
    option: OptionsGiven = None,
    engine: Annotated[
        EngineName, typer.Option(help="This machine's processes, or a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Of a running Ray cluster, such as auto; one is started if not given."),
    ] = None,
    cpus: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Processors of each run on Ray, threads of torch; else one for each process.",
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(min=0.0, help="GPUs of each run on Ray; fractions share one; else 0."),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(min=1.0, help="Seconds after which a run that hangs ends as a timeout."),
    ] = None,
    any_code: Annotated[
        bool,
        typer.Option(
            "--any-code",
            help="Resume even if the folder's runs were made by different code; results then mix "
            "versions.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder; adabelief-out/WORKLOAD-PRESET if not given.")
    ] = None,
    only_show: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would run, and about how long. Write nothing."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: as JSON, for programs.")
    ] = False,
) -> None:
    """Tune every optimizer equally, run each on fresh paired seeds, and report.

    Stopped at any moment, even by kill -9, the same command goes on where it was.
    """
    with explained():
        _check_engine(engine, workers=workers, address=address, cpus=cpus, gpus=gpus)
        if as_json and not only_show:
            msg = "--json needs --dry-run: the report's numbers are in runs.csv"
            raise LabError(msg)
        study, loaded, folder = declared(
            workload,
            against,
            preset,
            out,
            option,
            seeds=seeds,
            trials=trials,
            search=search,
            processes=procs_per_run,
            parallel=parallel,
        )
        check_optimizers(study)
        store = Store(folder)
        dry_run(loaded.workload, study.settings, evaluate=not store.begun())
        code = code_of(study, loaded.workload)
        at_once = workers or as_many(study)
        if only_show:
            store.check(study, code, any_code=any_code)
            _show(study, loaded, store, at_once if engine == "local" else 1, as_json=as_json)
            return
        store.open(study, code, any_code=any_code)

        def start() -> Engine:
            reference = loaded.source or workload
            if engine == "local":
                return LocalEngine(store.root, reference, at_once, time_limit=time_limit)
            each = (float(study.settings.processes) if cpus is None else cpus, gpus or 0.0)
            return _ray(store.root, reference, address, *each, time_limit)

        where = (
            count(at_once, "worker") if engine == "local" else f"Ray at {address or 'this machine'}"
        )
        run(study, store, start, where)
        _report(study, store)


def _show(study: Study, loaded: Loaded, store: Store, at_once: int, *, as_json: bool) -> None:
    """What would run, and about how long."""
    results = results_of(study, store)
    guess = estimate(study, loaded.workload, results)
    seconds = guess.seconds * -(-(study.n_runs - len(results)) // at_once)
    rows = [
        {
            "optimizer": spec.name,
            "trials": len(study.tune_runs(spec)),
            "seeds": study.settings.seeds,
            "searched": list(study.points(spec)[0]),
        }
        for spec in study.optimizers
    ]
    if as_json:
        show_json(
            {
                "workload": study.workload,
                "preset": study.preset,
                "steps": study.settings.steps,
                "optimizers": rows,
                "runs": study.n_runs,
                "finished": len(results),
                "workers": at_once,
                "seconds_per_run": guess.seconds,
                "seconds_left": seconds,
                "estimated_from": guess.source,
            }
        )
        return
    table = Table(title=f"{study.title}, preset {study.preset}", title_justify="left")
    for head in ("optimizer", "trials", "seeds", "searched"):
        table.add_column(head, overflow="fold")
    for row, spec in zip(rows, study.optimizers, strict=True):
        searched = ", ".join(study.points(spec)[0])
        table.add_row(spec.label, str(row["trials"]), str(row["seeds"]), searched)
    console.print(table)
    workers = count(at_once, "worker")
    console.print(
        f"{count(study.n_runs, 'run')} of {count(study.settings.steps, 'step')}, "
        f"{len(results)} of them finished in "
        f"{store.root}.\nAbout {duration(guess.seconds)} a run ({guess.source}); with {workers} "
        f"about {duration(seconds)} left.",
        highlight=False,
        markup=False,
    )


def status(
    folder: Out,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every 2 seconds, until all is finished.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a study is, from any terminal, while it runs or afterwards."""
    with explained():
        store = Store(folder)
        study = store.study()
        if watch and not as_json:
            _watch(study, store)
            return
        now = _progress(study, store, results_of(study, store))
        if as_json:
            show_json({**asdict(now), "runs": now.runs, "total_runs": now.total_runs})
        else:
            console.print(progress_table(study, now))


def report(folder: Out) -> None:
    """Write the report again from a study's folder; of an unfinished study, what there is."""
    with explained():
        store = Store(folder)
        _report(store.study(), store)


def _progress(study: Study, store: Store, results: Mapping[str, Result]) -> Progress:
    """As the folder shows it now, whose finished runs are these."""
    unfinished = store.begun() - results.keys()
    runs = (run for run in plan(study, results) if run.key in unfinished)
    partial = {run.key: store.folder(run).step() for run in runs}
    return progress(study, results, partial)


def _watch(study: Study, store: Store) -> None:
    """Until all is finished. Ctrl-C ends the watching, not the study."""
    try:
        with Live(console=console, auto_refresh=False) as live:
            results: Mapping[str, Result] = {}
            while True:
                results = results_of(study, store, results)
                now = _progress(study, store, results)
                live.update(progress_table(study, now), refresh=True)
                if now.runs == now.total_runs:
                    return
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _check_engine(engine: EngineName, **given: object) -> None:
    """Refuse options that would have no effect."""
    foreign = {"local": ("address", "cpus", "gpus"), "ray": ("workers",)}[engine]
    idle = [f"--{name}" for name in foreign if given[name] is not None]
    if idle:
        other = "ray" if engine == "local" else "local"
        msg = f"{', '.join(idle)} belongs to --engine {other}, got --engine {engine}"
        raise LabError(msg)


def _ray(
    root: Path,
    reference: str,
    address: str | None,
    cpus: float,
    gpus: float,
    time_limit: float | None,
) -> Engine:
    from adabelief_lab.conduct.ray_engine import RayEngine  # noqa: PLC0415, an extra

    return RayEngine(root, reference, address, cpus, gpus, time_limit)


def _report(study: Study, store: Store) -> None:
    """Print the table and write the report; its path is the last line."""
    records = records_of(study, store)
    found = analyze(study, records)
    console.print(terminal(found, width=min(WIDTH, console.width)))
    console.print(found.headline, markup=False, highlight=False)
    path = write(found, records, store.root)
    console.print("Figures, tables (Markdown, LaTeX), runs.csv and runs.parquet lie beside it.")
    console.print(f"Report: {path}", soft_wrap=True, highlight=False)
