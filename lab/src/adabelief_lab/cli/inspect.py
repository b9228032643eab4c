"""inspect: what the belief of a checkpoint's optimizer is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from adabelief import diagnostics as belief
from adabelief.checkpoint import SOURCES
from adabelief.diagnostics.inspection import HEADS
from adabelief.diagnostics.page import page
from adabelief_lab.cli.console import AsJson, console, explained, show_json
from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.errors import LabError


def inspect(
    checkpoint: Annotated[
        Path, typer.Argument(help="A file of torch.save with an AdaBelief's state_dict in it.")
    ],
    source: Annotated[
        str | None,
        typer.Option(help=f"Who wrote it, if that is not seen: {', '.join(SOURCES)}."),
    ] = None,
    groups_only: Annotated[
        bool, typer.Option("--groups", help="Groups only, not each parameter.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write it as a page, with the denominators drawn.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the belief is doing: step sizes, elements at the ε floor, and what to do about it.

    Reads with weights_only: nothing in the file is executed.
    """
    with explained():
        try:
            found = belief.checkpoint(checkpoint, source)
        except (OSError, ValueError, TypeError) as error:
            raise LabError(str(error)) from error
        if html is not None:
            replace(html, page(found, f"The belief of {checkpoint.name}").encode())
        if as_json:
            show_json(found.as_dict())
            return
        table = Table()
        for head in HEADS:
            table.add_column(head, justify="left" if head == "name" else "right", overflow="fold")
        for row in found.rows(parameters=not groups_only):
            table.add_row(*map(Text, row))
        console.print(table)
        for finding in found.findings():
            console.print(f"{finding.name}: {finding.text}.", highlight=False, markup=False)
        if not found.findings():
            console.print("Nothing unusual.")
        if html is not None:
            console.print(f"Page: {html}", soft_wrap=True, highlight=False)
