"""reproduce: the paper's exhibits."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from adabelief_lab.cli.console import AsJson, console, explained, show_json
from adabelief_lab.cli.options import Workers, as_many, complete_presets
from adabelief_lab.cli.run_study import run
from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.errors import LabError
from adabelief_lab.common.plurals import count
from adabelief_lab.conduct.compare import check_optimizers, code_of, conduct, results_of
from adabelief_lab.conduct.local_engine import LocalEngine
from adabelief_lab.conduct.progress import progress
from adabelief_lab.declare.study import Study
from adabelief_lab.paper.catalogue import EXHIBITS, EXPERIMENTS, NAMES, SETS, chosen
from adabelief_lab.paper.exhibit import Exhibit, cell
from adabelief_lab.paper.experiments.experiment import Experiment
from adabelief_lab.paper.experiments.studies import exhibit as experiment_of
from adabelief_lab.paper.record import ExhibitRecord
from adabelief_lab.paper.reproduce import records
from adabelief_lab.paper.reproduce import reproduce as made
from adabelief_lab.paper.summary import markdown as written
from adabelief_lab.run.validate import dry_run
from adabelief_lab.store.study_folder import Store, joined
from adabelief_lab.workloads.load import Loaded

WORDS = [*SETS, *NAMES]


def _completed(incomplete: str) -> list[str]:
    return [name for name in WORDS if name.startswith(incomplete)]


def _completed_workloads(incomplete: str) -> list[str]:
    names = [name for each in EXPERIMENTS.values() for name in each.workloads]
    return [name for name in names if name.startswith(incomplete)]


def reproduce(
    exhibits: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Which: {', '.join(WORDS)}. All are listed if none is named.",
            autocompletion=_completed,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of records, pictures and the page.")] = Path(
        "adabelief-out/paper"
    ),
    again: Annotated[
        bool, typer.Option("--again", help="Make anew what this very code has made already.")
    ] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write claims, tables and pictures of the folder as Markdown."),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help=f"Size of the studies of {', '.join(EXPERIMENTS)}.",
            autocompletion=complete_presets,
        ),
    ] = "quick",
    workload: Annotated[
        list[str] | None,
        typer.Option(
            help="Of those with several studies, only this one; may be given again.",
            autocompletion=_completed_workloads,
        ),
    ] = None,
    workers: Workers = None,
    studies: Annotated[
        Path, typer.Option(help="Folder of the studies, the same that `compare` has.")
    ] = Path("adabelief-out"),
    as_json: AsJson = False,
) -> None:
    """Make the paper's figures, tables and theorems, and set its claims beside the numbers.

    Interrupted, it goes on with the exhibits, and with the runs, that are missing.
    """
    with explained():
        if not exhibits:
            _list(as_json)
            return
        found: list[ExhibitRecord] = []

        def tell(exhibit: Exhibit, record: ExhibitRecord | None) -> None:
            if record is not None:
                found.append(record)
            if as_json:
                return
            if record is None:
                console.print(f"{exhibit.name}: {exhibit.title} ...", highlight=False)
            else:
                _show(record)

        try:
            conduct = partial(_conduct, workers=workers, quiet=as_json)
            wanted = [
                experiment_of(each, preset, studies, conduct, workload or ())
                if isinstance(each, Experiment)
                else each
                for each in chosen(exhibits)
            ]
            page = made(wanted, out, again=again, tell=tell)
        except ImportError as error:  # an extra is missing: the message says which
            raise LabError(str(error)) from error
        if markdown is not None:
            there = os.path.relpath(out, markdown.parent)
            replace(markdown, written(records(out), Path(there).as_posix()).encode())
        if as_json:
            show_json([_as_dict(record) for record in found])
        else:
            console.print(f"Page: {page}", soft_wrap=True, highlight=False)


def _conduct(
    study: Study, loaded: Loaded, store: Store, *, workers: int | None, quiet: bool
) -> None:
    """Run what is not finished; a finished study may be of another version of this code."""
    now = progress(study, results_of(study, store))
    if now.runs == now.total_runs:
        return
    check_optimizers(study)
    dry_run(loaded.workload, study.settings, evaluate=not store.begun())
    both = joined(study, store)  # the folder may have the runs of other exhibits too
    store.open(both, code_of(both, loaded.workload))
    at_once = workers or as_many(study)
    engine = partial(LocalEngine, store.root, study.workload, at_once)
    if not quiet:
        run(study, store, engine, count(at_once, "worker"))
        return
    running = engine()
    try:
        conduct(study, store, running, lambda _: None, lambda _: None)
    finally:
        running.stop()


def _list(as_json: bool) -> None:
    everything: list[Exhibit | Experiment] = [*EXHIBITS.values(), *EXPERIMENTS.values()]
    if as_json:
        show_json(
            [
                {"exhibit": each.name, "title": each.title, "source": each.source}
                for each in everything
            ]
        )
        return
    table = Table("exhibit", "title", "source")
    for each in everything:
        table.add_row(*map(Text, (each.name, each.title, each.source)))
    console.print(table)
    for name, members in SETS.items():
        names = ", ".join(each.name for each in members)
        console.print(f"{name}: {names}", highlight=False)


def _show(record: ExhibitRecord) -> None:
    for claim in record.findings.claims:
        console.print(
            Text(f"  {claim.says} ({claim.source}): {claim.measured} → {claim.verdict}"),
        )
    for found in record.findings.tables:
        table = Table(title=Text(found.title), title_justify="left")
        for head in found.head:
            table.add_column(Text(head), overflow="fold")
        for row in found.rows:
            table.add_row(*(Text(cell(value)) for value in row))
        console.print(table)


def _as_dict(record: ExhibitRecord) -> dict[str, object]:
    claims = [asdict(claim) for claim in record.findings.claims]
    return {"exhibit": record.exhibit, "seconds": record.seconds, "claims": claims}
