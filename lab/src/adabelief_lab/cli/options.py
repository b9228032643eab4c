"""Options that several commands have, and the study that they mean."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import declare, has_own, published
from adabelief_lab.declare.study import Study
from adabelief_lab.declare.workload import Parallel
from adabelief_lab.optimizers import GROUPS, OPTIMIZERS, Search, expand, resolve
from adabelief_lab.run.validate import preset_of
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.load import Loaded, load_workload

BASELINE = "adabelief"


def complete_workloads(incomplete: str) -> list[str]:
    """For the shell: workloads of the package; files it completes by itself."""
    return [name for name in WORKLOADS if name.startswith(incomplete)]


def complete_presets(incomplete: str) -> list[str]:
    """For the shell: presets of any workload."""
    names = dict.fromkeys(name for each in WORKLOADS.values() for name in each.presets)
    return [name for name in names if name.startswith(incomplete)]


def complete_optimizers(incomplete: str) -> list[str]:
    """For the shell: the last of several names with commas between."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in (*GROUPS, *OPTIMIZERS) if name.startswith(last)]


Out = Annotated[Path, typer.Argument(help="A study's folder, as `compare` made it.")]
WorkloadName = Annotated[
    str,
    typer.Argument(
        help="A workload (see `adabelief list`), or your own: FILE.py:NAME.",
        autocompletion=complete_workloads,
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        help="Optimizers of AdaBelief, separated by commas: names of `adabelief list`, "
        "package.module:Class, and WRAPPER+NAME. Groups: default, paper, all. Where settings are "
        "published, all that have some if none is named.",
        autocompletion=complete_optimizers,
    ),
]
Seeds = Annotated[int | None, typer.Option(min=1, help="Paired seeds of the final runs.")]
Trials = Annotated[
    int | None, typer.Option(min=1, help="Points of its search space for every optimizer.")
]
PresetName = Annotated[
    str, typer.Option(help="Size of the comparison.", autocompletion=complete_presets)
]
WhatIsTuned = Annotated[
    Search | None,
    typer.Option(
        help="What is tuned: lr alone; the whole space, with decay and eps; a square grid of lr "
        "and eps (or decay); the grids of the AdaBelief paper, which are not equal; or nothing, "
        "where settings are published for the workload. The preset's if not given.",
    ),
]
ProcsPerRun = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that train each run together, by torchrun; else 1."),
]
How = Annotated[
    Parallel | None,
    typer.Option(
        help="With --procs-per-run: copied weights (DistributedDataParallel), or shards (FSDP2). "
        "Else ddp."
    ),
]
OptionsGiven = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An option of the workload, other than its preset has it, in JSON or as a word: "
        "--option precision=bfloat16. May be given again.",
    ),
]
EngineName = Literal["local", "ray"]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; one for each processor if not given.")
]


def declared(
    workload: str,
    against: list[str] | None,
    preset: str,
    out: Path | None,
    options: list[str] | None,
    **changes: Any,
) -> tuple[Study, Loaded, Path]:
    """The study that these options mean, its workload, and its folder.

    Raises:
        LabError: a name is unknown or a number out of range.
    """
    # An optimizer's package.module may lie in the user's folder, as with python -m; workers inherit
    # it.
    sys.path.append(str(Path.cwd()))
    loaded = load_workload(workload)
    searched = changes.get("search") or preset_of(loaded.workload, preset).search
    if has_own(loaded.workload, searched):
        specs = published(loaded.workload, _given(against))
    else:
        specs = resolve(expand([BASELINE, *(_given(against) or ["default"])]))
    study = declare(loaded, preset, specs, options=options_of(options), **changes)
    if changes.get("parallel") and study.settings.processes == 1:
        msg = f"--parallel {changes['parallel']} needs --procs-per-run of 2 or more, got 1"
        raise LabError(msg)
    return study, loaded, out or Path("adabelief-out") / f"{study.workload}-{study.preset}"


def as_many(study: Study) -> int:
    """Workers that this machine has processors for."""
    return max(1, (os.cpu_count() or 1) // study.settings.processes)


def pairs(given: list[str] | None, flag: str, *, words: bool = False) -> dict[str, Any]:
    """What NAME=VALUE, given with `flag`, says; values are JSON, or `words` too.

    Raises:
        LabError: something is neither.
    """
    arguments = {}
    for each in given or []:
        name, equals, text = each.partition("=")
        if not (name.isidentifier() and equals):
            msg = f"{flag} wants NAME=VALUE, got {each!r}"
            raise LabError(msg)
        try:
            arguments[name] = json.loads(text)
        except ValueError:
            if not words:
                msg = (
                    f"{flag} {name}: the value must be JSON (1e-8, true, [0.9, 0.99]), got {text!r}"
                )
                raise LabError(msg) from None
            arguments[name] = text
    return arguments


def options_of(given: list[str] | None) -> dict[str, Any] | None:
    """The workload's options that --option gave; None if there are none."""
    return pairs(given, "--option", words=True) or None


def _given(against: list[str] | None) -> list[str]:
    """The names between the commas."""
    parts = (part.strip() for each in against or () for part in each.split(","))
    return [part for part in parts if part]
