"""A periodic linear loss on which moving averages of squares forget too soon.

f_t(x) = C x once in n steps and −x in the others, on [−1, 1]; with C > n − 1 the best x is −1.
Reddi et al. 2018, section 3, have it with n = 3 against Adam with β₁ = 0. AdaBelief has no β₁ = 0,
and its residual is large at the steep loss and at the next one; from then on the gradient is as
predicted, s falls, and the steps that lead away from −1 are the large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adabelief.reference import Array, adabelief, initial


@dataclass(frozen=True)
class Periodic:
    """n, C and the player's βs."""

    period: int
    slope: float
    betas: tuple[float, float]

    def __str__(self) -> str:
        return (
            f"n = {self.period}, C = {self.slope:g}, β₁ = {self.betas[0]:g}, β₂ = {self.betas[1]:g}"
        )


# The first is Reddi et al.'s, with their β₂ = 1/(1 + C²).
EXAMPLES = (
    Periodic(3, 3.0, (0.1, 0.1)),
    Periodic(5, 5.0, (0.5, 0.5)),
    Periodic(500, 600.0, (0.9, 0.99)),
)


def mean_regrets(
    example: Periodic, times: Sequence[int], *, amsgrad: bool, lr: float = 0.1, eps: float = 1e-8
) -> Array:
    """Regret / T at each of `times`, α_t = α/√t, no corrections, from x = 0."""
    state, losses, found = initial(np.zeros(1)), 0.0, []
    for step in range(1, max(times) + 1):
        grad = np.array([example.slope if step % example.period == 1 else -1.0])
        losses += float(grad[0] * state.param[0])
        state = adabelief(
            state, grad, lr / np.sqrt(step), example.betas, eps, amsgrad=amsgrad,
            bias_correction=False,
            project=lambda point, metric: np.minimum(np.maximum(point, -1.0), 1.0),
        )  # fmt: skip
        if step in times:
            steep = -(-step // example.period)
            total = example.slope * steep - (step - steep)
            found.append((losses + abs(total)) / step)
    return np.array(found)
