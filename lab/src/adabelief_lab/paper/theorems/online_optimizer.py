"""The optimizer itself in the online problems, to be compared with the reference's play there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from adabelief import AdaBelief, ExponentialBeta1, InverseTimeBeta1
from adabelief.reference import initial
from adabelief_lab.paper.theorems.bound import LAMBDA, Setting
from adabelief_lab.paper.theorems.online import DIMENSION, FAMILIES, SETS
from adabelief_lab.paper.theorems.regret import CHUNK, no_totals, play_on


def deviation(settings: Sequence[Setting], seeds: int, feasible: str, steps: int) -> float:
    """The largest |θ_optimizer − θ_reference| in any element after every 100 of `steps` steps."""
    ours, theirs = ([family(seeds) for family in FAMILIES] for _ in range(2))
    players = [_Player(setting, (len(ours), seeds, DIMENSION), feasible) for setting in settings]
    state = initial(np.zeros((len(ours), seeds, len(settings), DIMENSION)))
    totals, worst = no_totals(state.param.shape), 0.0
    for first in range(0, steps, CHUNK):
        times = np.arange(first + 1, min(first + CHUNK, steps) + 1, dtype=np.float64)
        drawn = np.stack([family.draw(len(times)) for family in ours])
        for index in range(len(times)):
            for player in players:
                theta = player.param.detach().numpy()
                grads = [f.gradient(theta[own], drawn[own, index]) for own, f in enumerate(ours)]
                player.step(torch.from_numpy(np.stack(grads)))
        state = play_on(theirs, settings, state, times, totals, feasible, amsgrad=True)
        for k, player in enumerate(players):
            gap = np.abs(player.param.detach().numpy() - state.param[:, :, k])
            worst = max(worst, float(gap.max()))
    return worst


class _Player:
    """One setting in float64, with the public schedule of β₁ and torch's of the step size."""

    def __init__(self, setting: Setting, shape: tuple[int, ...], feasible: str) -> None:
        self.param = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        self.optimizer = AdaBelief(
            [self.param], setting.lr, (setting.beta1, setting.beta2), setting.eps, amsgrad=True,
            bias_correction=False, feasible_set=SETS[feasible],
        )  # fmt: skip
        self.schedules: list[torch.optim.lr_scheduler.LambdaLR | ExponentialBeta1
                             | InverseTimeBeta1] = [
            torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda epoch: (epoch + 1) ** -0.5)
        ]  # fmt: skip
        if setting.schedule == "β₁ λᵗ⁻¹":
            self.schedules.append(ExponentialBeta1(self.optimizer, LAMBDA))
        if setting.schedule == "β₁/t":
            self.schedules.append(InverseTimeBeta1(self.optimizer))

    def step(self, grad: torch.Tensor) -> None:
        self.param.grad = grad
        self.optimizer.step()
        for schedule in self.schedules:
            schedule.step()
