"""The command line: one file for each group of commands."""

from __future__ import annotations

import typer

from adabelief.cli.belief import inspect
from adabelief.cli.bench import bench
from adabelief.cli.export import export
from adabelief.cli.listing import data, list_
from adabelief.cli.maintenance import check, pack, plan, unpack, verify
from adabelief.cli.paper import reproduce
from adabelief.cli.single import run
from adabelief.cli.study import compare, report, status

app = typer.Typer(
    help="AdaBelief's laboratory: compare optimizers with equal budgets and paired seeds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for verb in (compare, reproduce, plan, run, status, report, check, verify, pack, unpack, export):
    app.command()(verb)
app.command(name="list")(list_)
app.command()(data)
app.command()(bench)
app.command()(inspect)
