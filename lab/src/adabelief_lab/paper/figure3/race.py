"""One function of Figure 3, run: when each optimizer arrived, and the paths that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adabelief.reference import Array
from adabelief_lab.paper.figure3.landscapes import LANDSCAPES, Landscape
from adabelief_lab.paper.figure3.trajectories import OPTIMIZERS, run

STEPS = 20_000
# Early steps are as much of a picture as late ones: all of the first, then 3 % more each time.
TIMES = np.unique(np.concatenate([[0], np.geomspace(1, STEPS, 340).round()])).astype(np.int64)
# A hundredth is about a pixel of a picture; the claims rest on it. A tenth shows what hangs on
# that choice.
RADII = (0.01, 0.1)
SIDE = 20

# Against whom AdaBelief runs: the paper's text does not say which form of SGD is drawn.
FIELDS = {
    "SGD, Adam": ("SGD", "Adam"),
    "SGD (EMA), Adam": ("SGD (EMA)", "Adam"),
    "SGD, Adam, EAdam": ("SGD", "Adam", "EAdam"),
    "SGD (EMA), Adam, EAdam": ("SGD (EMA)", "Adam", "EAdam"),
}


@dataclass(frozen=True)
class Race:
    """All optimizers from all starts of one landscape; the first axis is that of `OPTIMIZERS`.

    Args:
        landscape: where.
        path: of the landscape's own starts at `TIMES`, of shape (optimizers, times, starts, 2).
        first: by radius, steps until within it for the first time; infinity is never.
        stays: by radius, steps until within it for good.
        lost: step at which a position is finite no more.
        grid_stays: as `stays`, of the grid's starts.
        grid_lost: likewise.
    """

    landscape: Landscape
    path: Array
    first: dict[float, Array]
    stays: dict[float, Array]
    lost: Array
    grid_stays: dict[float, Array]
    grid_lost: Array


def races(
    landscapes: Sequence[Landscape] = LANDSCAPES,
    times: NDArray[np.int64] = TIMES,
    side: int = SIDE,
) -> list[Race]:
    """Run all, those of equal betas together."""
    found: dict[str, Race] = {}
    for betas in dict.fromkeys(each.betas for each in landscapes):
        group = [each for each in landscapes if each.betas == betas]
        shown = [np.array([start.point for start in each.starts]) for each in group]
        starts = [np.concatenate([own, each.grid(side)])
                  for own, each in zip(shown, group, strict=True)]  # fmt: skip
        ran = run(group, starts, times, RADII)
        for landscape, own, each in zip(group, shown, ran, strict=True):
            n = len(own)
            found[landscape.name] = Race(
                landscape,
                each.path[:, :, :n],
                {radius: steps[:, :n] for radius, steps in each.first.items()},
                {radius: steps[:, :n] for radius, steps in each.stays.items()},
                each.lost[:, :n],
                {radius: steps[:, n:] for radius, steps in each.stays.items()},
                each.lost[:, n:],
            )
    return [found[each.name] for each in landscapes]


def fastest(steps: Array) -> NDArray[np.bool_]:
    """Who arrives before, or together with, all others; nobody where nobody arrives.

    Args:
        steps: until arrival, of shape (optimizers, starts); infinity is never.
    """
    return np.isfinite(steps) & (steps == steps.min(axis=0))


def ahead(steps: Array, field: Sequence[str]) -> NDArray[np.bool_]:
    """Where AdaBelief is among the fastest of itself and that field.

    Args:
        steps: of shape (optimizers, starts), the first axis that of `OPTIMIZERS`.
        field: names of others.
    """
    rows = [OPTIMIZERS.index(name) for name in ("AdaBelief", *field)]
    return fastest(steps[rows])[0]
