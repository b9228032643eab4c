"""bench: a step of ours and of others, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adabelief_lab.bench.display import meter, tables
from adabelief_lab.bench.session import fill, planned, prepare
from adabelief_lab.cli.console import INTERRUPTED, WIDTH, command, console, errors, explained
from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.environment import environment
from adabelief_lab.common.errors import LabError


def bench(
    shapes: Annotated[
        str | None,
        typer.Option(
            help="Models whose parameters are stepped: 16m, resnet34, densenet121, gpt2, or "
            "TENSORSxELEMENTS such as 364x1024; separated by commas. With this option only their "
            "steps are timed.",
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Numbers of threads, separated by commas.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Rounds. Candidates that are several times slower have fewer."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Optimizers to compare with, such as timm,adam-foreach, and other paths of ours, "
            "such as loop; separated by commas. Default: all that are installed.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A JSON file for the times of all rounds.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small shapes, one thread, few rounds: seconds.")
    ] = False,
) -> None:
    """Time a step beside torch's Adam, other AdaBeliefs, and memory itself.

    All candidates take turns in one process, in shuffled rounds. The tables show the median and
    the quartiles of the ratios to torch.optim.Adam(fused=True) within a round: what else slows the
    machine falls out of them. One thread is timed by its own CPU time, several by wall time.
    Without --shapes the command also times a step without arithmetic and our paths by size of
    tensor, and measures memory.
    """
    with explained():
        try:
            options = planned(shapes, threads, rounds, quick)
            record, jobs = prepare(options, against, environment(), command())
        except ValueError as error:
            raise LabError(str(error)) from None
        for name, reason in record.left_out.items():
            errors.print(f"Left out: {name}: {reason}", highlight=False, markup=False)

        def save() -> None:
            if out:
                replace(out, record.json_text().encode())

        save()  # a file that cannot be written is found before the work is done
        stopped = False
        try:
            with meter(errors, jobs) as (begin, tick):
                fill(record, jobs, begin, tick, save)
        except KeyboardInterrupt:
            stopped = True
        except RuntimeError as error:
            raise LabError(str(error)) from None
        for table in tables(record, min(WIDTH, console.width)):
            console.print(table)
        if out:
            console.print(f"Record: {out}", soft_wrap=True, highlight=False)
        if stopped:
            errors.print("\nStopped: the tables show what was measured so far.", highlight=False)
            raise typer.Exit(INTERRUPTED)
