"""Figure 3 in tables: steps until arrival, from the shown starts and over the grids."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from adabelief_lab.paper.closed_form_moments import BETAS, EPS
from adabelief_lab.paper.exhibit import Table
from adabelief_lab.paper.figure3.race import FIELDS, RADII, SIDE, STEPS, Race, ahead, fastest
from adabelief_lab.paper.figure3.trajectories import LR, OPTIMIZERS


def steps_text(steps: float, lost: float = math.inf) -> str:
    """Steps until arrival, or what happened instead."""
    if math.isfinite(steps):
        return f"{steps:,.0f}"
    return f"diverged at {lost:,.0f}" if math.isfinite(lost) else "never"


def tables(races: Sequence[Race]) -> list[Table]:
    """Steps from the shown starts, then over the grids."""
    starts = tuple(
        (race.landscape.title, f"{start.point}", start.why)
        for race in races
        for start in race.landscape.starts
    )
    settings = (
        f"lr {LR:g}, betas {BETAS} and momentum {BETAS[0]} where the function's name says nothing "
        f"else, ε = {EPS:g}, float64, {STEPS:,} steps. In brackets: the first visit, where "
        "the path left again."
    )
    shown = [
        Table(
            f"Steps until within {radius} of the optimum for good",
            ("function", "start", *OPTIMIZERS),
            tuple(_shown(races, radius)),
            settings,
        )
        for radius in RADII
    ]
    named = Table("Starts: the paper names none", ("function", "start", "why there"), starts)
    return [named, *shown, *_over_grids(races, RADII[0])]


def _over_grids(races: Sequence[Race], radius: float) -> list[Table]:
    head = ("function", *OPTIMIZERS)
    names = [race.landscape.title for race in races]
    medians = [np.median(race.grid_stays[radius], axis=1) for race in races]
    never = [np.mean(np.isinf(race.grid_stays[radius]), axis=1) for race in races]
    lost = [np.mean(np.isfinite(race.grid_lost), axis=1) for race in races]
    wins = [np.mean(fastest(race.grid_stays[radius]), axis=1) for race in races]
    grid = f"Over a grid of {SIDE}² starts:"
    return [
        Table(
            f"{grid} median of steps until within {radius} for good", head,
            tuple((name, *map(steps_text, row))
                  for name, row in zip(names, medians, strict=True)),
            f"“never”: more than half of the starts do not lead there in {STEPS:,} steps.",
        ),
        Table(
            f"{grid} share that never arrives (that diverges)", head,
            tuple((name, *(f"{a:.0%} ({b:.0%})" if b else f"{a:.0%}"
                            for a, b in zip(row, far, strict=True)))
                  for name, row, far in zip(names, never, lost, strict=True)),
            "Diverged: a coordinate is finite no more.",
        ),
        Table(
            f"{grid} share in which each is fastest", head,
            tuple((name, *(f"{share:.0%}" for share in row))
                  for name, row in zip(names, wins, strict=True)),
            "Of all five; equal steps count for both. The rest: nobody arrives.",
        ),
        Table(
            f"{grid} share in which AdaBelief is fastest, by who else runs",
            ("function", *FIELDS),
            tuple((name, *(f"{np.mean(ahead(race.grid_stays[radius], field)):.0%}"
                            for field in FIELDS.values()))
                  for name, race in zip(names, races, strict=True)),
            "SGD: heavy ball, as torch has it. SGD (EMA): equation 1 of the paper, 10 times "
            "slower at β₁ = 0.9. EAdam: AdaBelief's ε without its belief.",
        ),
    ]  # fmt: skip


def _shown(races: Sequence[Race], radius: float) -> list[tuple[str, ...]]:
    rows = []
    for race in races:
        for i, start in enumerate(race.landscape.starts):
            cells = []
            for stays, first, lost in zip(
                race.stays[radius][:, i], race.first[radius][:, i], race.lost[:, i], strict=True
            ):
                visit = "" if first == stays else f" ({first:,.0f})"
                cells.append(steps_text(stays, lost) + visit)
            rows.append((race.landscape.title, f"{start.point}", *cells))
    return rows
