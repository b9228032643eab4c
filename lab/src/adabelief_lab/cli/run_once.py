"""run: one optimizer, once; to see that something trains, not to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from adabelief_lab.cli.console import AsJson, console, errors, explained, show_json
from adabelief_lab.cli.options import (
    OptionsGiven,
    PresetName,
    WorkloadName,
    complete_optimizers,
    options_of,
    pairs,
)
from adabelief_lab.common.make_optimizer import check_arguments
from adabelief_lab.common.make_optimizer import load_class as optimizer_class
from adabelief_lab.common.plurals import count
from adabelief_lab.conduct.compare import declare
from adabelief_lab.conduct.local_engine import LocalEngine
from adabelief_lab.declare.study import Run
from adabelief_lab.optimizers import resolve
from adabelief_lab.optimizers.implementations import import_path
from adabelief_lab.run.belief_rows import SPLIT as BELIEF
from adabelief_lab.run.picture_rows import SPLIT as PICTURES
from adabelief_lab.run.validate import dry_run
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload


def run(
    workload: WorkloadName,
    optimizer: Annotated[
        str,
        typer.Argument(
            help="A name of `adabelief list`, package.module:Class, WRAPPER+NAME.",
            autocompletion=complete_optimizers,
        ),
    ] = "adabelief",
    lr: Annotated[
        float | None,
        typer.Option(min=0.0, help="The middle of the optimizer's search range if not given."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of another argument, in JSON: --set eps=1e-12."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and of the data's order.")] = 0,
    preset: PresetName = "quick",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps; the preset's if not given.")
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            min=1, help="Steps between evaluations, and checkpoints; the preset's if not given."
        ),
    ] = None,
    option: OptionsGiven = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the run's files; the same run is not made twice.")
    ] = Path("adabelief-out/single"),
    as_json: AsJson = False,
) -> None:
    """Train once and show every evaluation on validation data. One run is no comparison.

    Ends with 1 if the run does not end well.
    """
    with explained():
        loaded = load_workload(workload)
        (spec,) = resolve([optimizer])
        study = declare(
            loaded, preset, [spec], steps=steps, eval_every=eval_every, options=options_of(option)
        )
        middle = spec.plan(1)[0]["lr"]
        point = {"lr": middle if lr is None else lr, **pairs(given, "--set")}
        one = study.single_run(spec, point, seed)
        path = import_path(one.implementation)
        check_arguments(path, optimizer_class(path), one.hyperparameters)
        store = Store(out)
        dry_run(loaded.workload, study.settings, evaluate=one.key not in store.begun())
        folder = store.folder(one)
        _train(folder, one, out, loaded.source or workload, quiet=as_json)
        result = folder.result()
        assert result is not None
        if as_json:
            show_json(
                {
                    "folder": str(folder.path),
                    "run": one.model_dump(mode="json"),
                    "rows": folder.rows(),
                    "result": result.model_dump(mode="json"),
                }
            )
        elif result.status == "ok":
            console.print(
                f"{result.seconds:.1f} s of training, {result.optimizer_seconds:.2f} s of it in "
                f"the optimizer; {result.n_params:,} parameters. Files: {folder.path}",
                highlight=False,
            )
        if result.status != "ok":
            errors.print(f"{result.status}: {result.reason}", style="red", markup=False)
            raise typer.Exit(1)


def _train(folder: RunFolder, one: Run, out: Path, reference: str, *, quiet: bool) -> None:
    engine = LocalEngine(out, reference, workers=1)
    try:
        engine.submit(one)
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not engine.idle:
                for _, amiss in engine.ended(timeout=0.5):
                    if amiss:
                        errors.print(f"Note: {amiss} was damaged; the run was done anew")
                if not quiet and console.is_terminal:
                    live.update(_table(one, folder), refresh=True)
    finally:
        engine.stop()
    if not quiet:
        console.print(_table(one, folder))


def _table(one: Run, folder: RunFolder) -> Group:
    """One line an evaluation: the training loss since the last one, and the metrics."""
    table = Table()
    merged: dict[int, dict[str, Any]] = {}
    for row in folder.rows():
        if row["split"] in (BELIEF, PICTURES):  # too much for a line; they are in metrics.jsonl
            continue
        named = {
            f"{row['split']} {name}": value
            for name, value in row.items()
            if name not in ("step", "split")
        }
        merged.setdefault(row["step"], {}).update(named)
    heads = list(dict.fromkeys(name for row in merged.values() for name in row))
    for head in ("step", *heads):
        table.add_column(head, justify="right")
    for step, row in merged.items():
        numbers = ["–" if row.get(name) is None else f"{row[name]:.5g}" for name in heads]
        table.add_row(str(step), *numbers)
    arguments = ", ".join(f"{name}={value}" for name, value in one.hyperparameters.items())
    return Group(
        f"{one.optimizer} ({arguments}) on {one.workload}, {count(one.steps, 'step')}", table
    )
