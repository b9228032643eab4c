"""list: what there is to compare."""

from __future__ import annotations

from rich.table import Table

from adabelief.cli.screen import console
from adabelief.lab.rivals import RIVALS, WRAPPERS
from adabelief.lab.workloads import WORKLOADS


def list_() -> None:
    """List workloads with their presets, and rivals with their search spaces."""
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
