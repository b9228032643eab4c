"""reproduce: the paper's exhibits."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from adabelief.cli.screen import AsJson, console, explained, show_json
from adabelief.lab.errors import LabError
from adabelief.lab.files import replace
from adabelief.lab.paper.catalogue import EXHIBITS, SETS, chosen
from adabelief.lab.paper.exhibit import Exhibit, cell
from adabelief.lab.paper.record import Record
from adabelief.lab.paper.reproduce import records
from adabelief.lab.paper.reproduce import reproduce as made
from adabelief.lab.paper.summary import markdown as written

NAMES = [*SETS, *EXHIBITS]


def _completed(incomplete: str) -> list[str]:
    return [name for name in NAMES if name.startswith(incomplete)]


def reproduce(
    exhibits: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Which: {', '.join(NAMES)}. All are listed if none is named.",
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
    as_json: AsJson = False,
) -> None:
    """Make the paper's figures, tables and theorems, and set its claims beside the numbers.

    Interrupted, it goes on with the exhibits that are missing.
    """
    with explained():
        if not exhibits:
            _list(as_json)
            return
        found: list[Record] = []

        def tell(exhibit: Exhibit, record: Record | None) -> None:
            if record is not None:
                found.append(record)
            if as_json:
                return
            if record is None:
                console.print(f"{exhibit.name}: {exhibit.title} ...", highlight=False)
            else:
                _show(record)

        try:
            page = made(chosen(exhibits), out, again=again, tell=tell)
        except ImportError as error:  # an extra is missing: the message says which
            raise LabError(str(error)) from error
        if markdown is not None:
            there = os.path.relpath(out, markdown.parent)
            replace(markdown, written(records(out), Path(there).as_posix()).encode())
        if as_json:
            show_json([_as_dict(record) for record in found])
        else:
            console.print(f"Page: {page}", soft_wrap=True, highlight=False)


def _list(as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {"exhibit": each.name, "title": each.title, "source": each.source}
                for each in EXHIBITS.values()
            ]
        )
        return
    table = Table("exhibit", "title", "source")
    for each in EXHIBITS.values():
        table.add_row(*map(Text, (each.name, each.title, each.source)))
    console.print(table)
    for name, members in SETS.items():
        names = ", ".join(each.name for each in members)
        console.print(f"{name}: {names}", highlight=False)


def _show(record: Record) -> None:
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


def _as_dict(record: Record) -> dict[str, object]:
    claims = [asdict(claim) for claim in record.findings.claims]
    return {"exhibit": record.exhibit, "seconds": record.seconds, "claims": claims}
