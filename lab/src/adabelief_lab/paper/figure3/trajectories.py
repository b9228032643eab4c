"""Optimizers on the functions of Figure 3: where they go, and when they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from adabelief import AdaBelief
from adabelief.reference import Array
from adabelief_lab.optimizers.implementations.eadam import EAdam
from adabelief_lab.optimizers.implementations.sgd_ema import EMASGD
from adabelief_lab.paper.closed_form_moments import EPS
from adabelief_lab.paper.figure3.landscapes import Landscape
from adabelief_lab.paper.single_thread import one_thread

LR = 1e-3  # section 2.2, for all optimizers
OPTIMIZERS = ("AdaBelief", "Adam", "SGD", "SGD (EMA)", "EAdam")


def optimizer(
    name: str, param: torch.Tensor, betas: tuple[float, float], lr: float = LR, eps: float = EPS
) -> torch.optim.Optimizer:
    """The optimizer of that name in `OPTIMIZERS`; SGD's momentum is β₁."""
    match name:
        case "AdaBelief":
            return AdaBelief([param], lr, betas, eps)
        case "Adam":
            return torch.optim.Adam([param], lr, betas, eps)
        case "EAdam":
            return EAdam([param], lr, betas, eps)
        case "SGD":
            return torch.optim.SGD([param], lr, momentum=betas[0])
        case "SGD (EMA)":
            return EMASGD([param], lr, momentum=betas[0])
    msg = f"the optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}"
    raise ValueError(msg)


class Arrivals:
    """When points come within a radius of the optimum; infinity is never.

    Attributes:
        first: step at which each is within the radius for the first time.
        stays: step from which it is so at every step that was seen.
    """

    def __init__(self, shape: tuple[int, ...], radius: float) -> None:
        self.radius = radius
        self.first = np.full(shape, np.inf)
        self.stays = np.full(shape, np.inf)

    def see(self, step: int, distance: Array) -> None:
        """Steps in order, each with distances of the shape; NaN is outside."""
        within = distance <= self.radius
        self.first[within & np.isinf(self.first)] = step
        self.stays[within & np.isinf(self.stays)] = step
        self.stays[~within] = np.inf


@dataclass(frozen=True)
class Trajectories:
    """What became of the starts on one landscape; the first axis is that of `OPTIMIZERS`.

    Args:
        path: positions at the kept times, of shape (optimizers, times, starts, 2).
        first: by radius, as in `Arrivals`, of shape (optimizers, starts).
        stays: likewise.
        lost: step at which a position is finite no more, or infinity.
    """

    path: Array
    first: dict[float, Array]
    stays: dict[float, Array]
    lost: Array


def run(
    landscapes: Sequence[Landscape],
    starts: Sequence[Array],
    times: NDArray[np.int64],
    radii: Sequence[float],
) -> list[Trajectories]:
    """Run every optimizer from every start, to the last of `times`.

    All the optimizers are elementwise, so that one of each moves all points at once, and each
    point goes as if it were alone.

    Args:
        landscapes: with equal betas.
        starts: of each landscape, of shape (starts, 2).
        times: steps at which positions are kept, increasing; 0 is the start.
        radii: distances from the optimum that count as arrival.

    Raises:
        ValueError: betas differ.
    """
    betas = landscapes[0].betas
    if any(each.betas != betas for each in landscapes):
        msg = f"landscapes of one run must have equal betas, got {[x.betas for x in landscapes]}"
        raise ValueError(msg)
    ends = np.cumsum([len(each) for each in starts])
    spans = [slice(end - len(each), end) for each, end in zip(starts, ends, strict=True)]
    points = np.tile(np.concatenate(starts), (len(OPTIMIZERS), 1, 1))
    optimum = np.concatenate([
        np.tile(each.optimum, (len(from_), 1))
        for each, from_ in zip(landscapes, starts, strict=True)
    ])  # fmt: skip
    grads = np.empty_like(points)
    made = []
    for i, name in enumerate(OPTIMIZERS):
        param = torch.nn.Parameter(torch.from_numpy(points[i]))  # the same memory
        param.grad = torch.from_numpy(grads[i])
        made.append(optimizer(name, param, betas))
    arrivals = [Arrivals(points.shape[:2], radius) for radius in radii]
    lost = np.full(points.shape[:2], np.inf)
    path, kept = [], set(times.tolist())
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):  # divergence is a result
        for step in range(int(times[-1]) + 1):
            if step:
                for landscape, span in zip(landscapes, spans, strict=True):
                    at, into = points[:, span], grads[:, span]
                    into[..., 0], into[..., 1] = landscape.grad(at[..., 0], at[..., 1])
                for each in made:
                    each.step()
            away = points - optimum
            distance = np.hypot(away[..., 0], away[..., 1])
            for seen in arrivals:
                seen.see(step, distance)
            lost[~np.isfinite(distance) & np.isinf(lost)] = step
            if step in kept:
                path.append(points.copy())
    paths = np.stack(path, axis=1)
    return [
        Trajectories(
            paths[:, :, span],
            {seen.radius: seen.first[:, span] for seen in arrivals},
            {seen.radius: seen.stays[:, span] for seen in arrivals},
            lost[:, span],
        )
        for span in spans
    ]
