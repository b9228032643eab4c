"""bench: a step of ours and of others, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adabelief_lab.bench.command import Request, fill, prepare
from adabelief_lab.bench.display import tables
from adabelief_lab.cli.console import INTERRUPTED, WIDTH, command, console, errors, explained
from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.environment import environment
from adabelief_lab.common.errors import LabError


def bench(
    shapes: Annotated[
        str | None,
        typer.Option(
            help="Whose parameters: 16m, resnet34, densenet121, gpt2, or TENSORSxELEMENTS such as "
            "364x1024; separated by commas. If given, nothing but their steps is measured.",
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Numbers of threads, separated by commas.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Rounds; contenders that are several times slower have fewer."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Others, such as timm,adam-foreach, and other paths of ours, such as loop. "
            "All that are installed if not given.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A file for all times of all rounds, as JSON.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small shapes, one thread, few rounds: seconds.")
    ] = False,
) -> None:
    """Time a step beside torch's Adam, other AdaBeliefs, and memory itself.

    All take turns in one process, in shuffled rounds; shown are median and quartiles of the
    ratios to torch.optim.Adam(fused=True) within a round, so that what else the machine does
    falls out. One thread is timed by its own CPU time, more by the wall's. Without --shapes also
    a step without arithmetic, our paths by size of tensor, and memory.
    """
    with explained():
        try:
            request = Request(shapes, threads, rounds, against, quick)
            record, jobs = prepare(request, environment(), command())
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
            fill(record, jobs, errors, save)
        except KeyboardInterrupt:
            stopped = True
        except RuntimeError as error:
            raise LabError(str(error)) from None
        for table in tables(record, min(WIDTH, console.width)):
            console.print(table)
        if out:
            console.print(f"Record: {out}", soft_wrap=True, highlight=False)
        if stopped:
            errors.print("\nStopped: this is what was measured so far.", highlight=False)
            raise typer.Exit(INTERRUPTED)
