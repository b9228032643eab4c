"""export: finished runs for TensorBoard and Weights & Biases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adabelief_lab.cli.console import console, explained
from adabelief_lab.cli.options import Out
from adabelief_lab.export import EXPORTERS
from adabelief_lab.export import export as write
from adabelief_lab.store.study_folder import Store


def export(
    folder: Out,
    to: Annotated[str, typer.Option(help=f"Which tool: {' or '.join(EXPORTERS)}.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make; FOLDER-TOOL if not given.")
    ] = None,
) -> None:
    """Write a study's finished runs for TensorBoard or Weights & Biases. Sends nothing."""
    with explained():
        target = out or folder.with_name(f"{folder.resolve().name}-{to}")
        count = write(Store(folder), to, target)
        console.print(f"{count} finished runs: {target}", soft_wrap=True, highlight=False)
