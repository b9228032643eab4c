"""check, verify, pack, unpack: before a study, and after it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from adabelief_lab.cli.console import AsJson, console, errors, explained, show_json
from adabelief_lab.cli.options import Out, Workers, WorkloadName, as_many
from adabelief_lab.common.plurals import count
from adabelief_lab.conduct.archive import pack as pack_study
from adabelief_lab.conduct.archive import unpack as unpack_study
from adabelief_lab.conduct.check_workload import CheckResult
from adabelief_lab.conduct.check_workload import check as findings_of
from adabelief_lab.conduct.verify import Repetition, choose
from adabelief_lab.conduct.verify import verify as make_again
from adabelief_lab.run.validate import preset_of
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload

STATES = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


def check(
    workload: WorkloadName,
    preset: Annotated[
        str | None, typer.Option(help="Size at which it is tried; its smallest if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a workload's checks: equal seeds give equal runs, a killed run goes on, and more.

    Ends with 1 if one is broken.
    """
    sys.path.append(str(Path.cwd()))
    with explained():
        loaded = load_workload(workload).workload
        smallest = min(loaded.presets, key=lambda name: loaded.presets[name].steps)
        found = []
        for finding in findings_of(loaded, preset_of(loaded, preset or smallest)):
            found.append(finding)
            if not as_json:
                _print(finding)
        if as_json:
            show_json([finding._asdict() for finding in found])
        broken = sum(finding.state == "failed" for finding in found)
        if not as_json:
            console.print(f"{count(len(found), 'check')}, {broken} failed.", highlight=False)
        if broken:
            raise typer.Exit(1)


def _print(finding: CheckResult) -> None:
    console.print(f"[{STATES[finding.state]}]{finding.state:8}[/] {finding.check}")
    if finding.detail:
        console.print(f"         {finding.detail}", highlight=False, markup=False, style="dim")


def verify(
    folder: Out,
    runs: Annotated[int, typer.Option(min=1, help="How many runs are made again.")] = 3,
    seed: Annotated[int, typer.Option(help="Which: drawn by this seed.")] = 0,
    workers: Workers = None,
) -> None:
    """Make a few random finished runs again and compare them byte for byte. Changes nothing.

    Ends with 1 if one differs.
    """
    sys.path.append(str(Path.cwd()))
    with explained():
        store = Store(folder)
        study = store.study()
        chosen = choose(study, store, runs, seed)

        def show(verdict: Repetition) -> None:
            state = "[red]differs[/]" if verdict.difference else "[green]same[/]   "
            name = f"{verdict.run.key} {study.optimizer(verdict.run.optimizer).label}"
            console.print(f"{state} {name}, {verdict.run.phase}", highlight=False)
            if verdict.difference:
                console.print(f"        {verdict.difference}", highlight=False, markup=False)

        reference = study.source or study.workload
        found = make_again(store, chosen, reference, workers or as_many(study), show)
        differing = sum(bool(verdict.difference) for verdict in found)
        console.print(
            f"{count(len(found), 'run')} repeated, {differing} of them with another result.",
            highlight=False,
        )
        if differing:
            raise typer.Exit(1)


def pack(
    folder: Out,
    file: Annotated[
        Path | None, typer.Argument(help="The archive; FOLDER.zip if not given.")
    ] = None,
) -> None:
    """Put a study and its finished runs into one zip file, for another machine or a paper."""
    with explained():
        target = file or folder.with_name(f"{folder.resolve().name}.zip")
        count = pack_study(Store(folder), target)
        console.print(f"{count} finished runs: {target}", soft_wrap=True, highlight=False)


def unpack(
    file: Annotated[Path, typer.Argument(help="An archive that `pack` made.")], folder: Out
) -> None:
    """Add an archive's runs to a study's folder: the union of both, each run once.

    Ends with 1 if a run is in both and its numbers differ; this folder's are kept.
    """
    with explained():
        merged = unpack_study(file, Store(folder))
        console.print(
            f"{count(merged.added, 'run')} added; {merged.known} were already there.",
            highlight=False,
        )
        if merged.contradicting:
            errors.print(
                f"{count(len(merged.contradicting), 'run')} in both differ; those of {folder} are "
                f"kept: {', '.join(merged.contradicting)}",
                highlight=False,
            )
            raise typer.Exit(1)
