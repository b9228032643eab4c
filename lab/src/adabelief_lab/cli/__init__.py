"""The command line: one file for each group of commands."""

from __future__ import annotations

import typer

from adabelief_lab.cli.bench import bench
from adabelief_lab.cli.export import export
from adabelief_lab.cli.inspect import inspect
from adabelief_lab.cli.listing import data, list_
from adabelief_lab.cli.paper import reproduce
from adabelief_lab.cli.run_once import run
from adabelief_lab.cli.study import compare, report, status
from adabelief_lab.cli.study_tools import check, pack, unpack, verify

app = typer.Typer(
    help="AdaBelief's laboratory: compare optimizers with equal budgets and paired seeds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for verb in (compare, reproduce, run, status, report, check, verify, pack, unpack, export):
    app.command()(verb)
app.command(name="list")(list_)
app.command()(data)
app.command()(bench)
app.command()(inspect)
