"""list, data: what there is to compare, and on what."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from adabelief.cli.screen import AsJson, console, show_json
from adabelief.lab.data.catalogue import DATA, state_of
from adabelief.lab.rivals import GROUPS, RIVALS, WRAPPERS
from adabelief.lab.workloads import WORKLOADS


def list_(as_json: AsJson = False) -> None:
    """List workloads with their presets, and rivals with their search spaces."""
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
                "rivals": [rival.model_dump(mode="json") for rival in RIVALS.values()],
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
    rivals = Table(title="Rivals", title_justify="left")
    for head in ("name", "optimizer", "fixed", "searched"):
        rivals.add_column(head, overflow="fold")
    for rival in RIVALS.values():
        fixed = ", ".join(f"{name}={value}" for name, value in rival.defaults.items())
        searched = ", ".join(f"{knob} {where}" for knob, where in rival.space.items())
        rivals.add_row(rival.name, rival.optimizer, fixed, searched)
    for around in WRAPPERS.values():
        fixed = ", ".join(f"{name}={value}" for name, value in around.arguments.items())
        rivals.add_row(f"{around.name}+NAME", around.optimizer, fixed, "as NAME")
    console.print(workloads)
    console.print(rivals)


def data(as_json: AsJson = False) -> None:
    """List the data that workloads read: where they are, or where they belong; all are checked.

    Nothing is downloaded. Ends with 1 if something is damaged; what is missing is only said.
    """
    found = [(each, state_of(each)) for each in DATA]
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
