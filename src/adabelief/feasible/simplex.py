"""The simplex and the ball of the sum norm: soft thresholds τ/w with one unknown τ."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adabelief.feasible.checks import Dim, dims, real
from adabelief.feasible.precision import SUM_MARGIN, margin, poison, scaled
from adabelief.feasible.slices import Slices

# After the sort only the roundings of its cumulative sums are left to mend: 1e-11 of them for a
# million equal elements.
NEWTON_STEPS = 2
# The first mends the roundings of y, the second what the first cut off at 0.
REFINEMENTS = 2


@dataclass(frozen=True, eq=False)
class Simplex:
    """{x : x ≥ 0, Σ x = total}.

    The projection is max(y − τ/w, 0) with the τ that makes the sum right.

    Args:
        total: a finite number > 0.
        dim: dimensions that hold one point; None: the whole tensor is one point.

    Raises:
        ValueError: total is out of range, or dim names a dimension twice.
        TypeError: an argument is of the wrong kind.
    """

    total: float = 1.0
    dim: Dim = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", real("total", self.total, positive=True))
        dims(self.dim)

    @property
    def elementwise(self) -> bool:
        """False: a point is needed whole."""
        return False

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Return the nearest point of the simplex: nothing negative, the sum right to rounding.

        Raises:
            ValueError: dim does not fit the point.
        """
        slices = Slices("Simplex", point.shape, self.dim)
        if not point.numel():
            return point
        y, w = slices.rows(point), scaled(slices.rows(metric))
        x = _threshold(y, w, self.total, _support(y, w, self.total))
        x = x * (self.total / x.detach().sum(-1, keepdim=True))
        return slices.back(x + poison(y, w), point)


@dataclass(frozen=True, eq=False)
class L1Ball:
    """{x : Σ |x| ≤ radius}.

    Outside, the projection is sign(y) max(|y| − τ/w, 0) with the τ > 0 that makes Σ |x| = radius:
    small elements become exactly 0.

    Args:
        radius: a finite number > 0.
        dim: dimensions that hold one point; None: the whole tensor is one point.

    Raises:
        ValueError: radius is out of range, or dim names a dimension twice.
        TypeError: an argument is of the wrong kind.
    """

    radius: float
    dim: Dim = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", real("radius", self.radius, positive=True))
        dims(self.dim)

    @property
    def elementwise(self) -> bool:
        """False: a point is needed whole."""
        return False

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Return the nearest point of the ball; never one outside, and `point` if inside.

        Raises:
            ValueError: dim does not fit the point.
        """
        slices = Slices("L1Ball", point.shape, self.dim)
        if not point.numel():
            return point
        y, w = slices.rows(point), scaled(slices.rows(metric))
        size = y.abs()
        inside = size.sum(-1, keepdim=True) <= self.radius * (1 + SUM_MARGIN)
        x = _threshold(size, w, self.radius, _support(size, w, self.radius))
        reach = self.radius * (1 - margin(point.dtype))
        x = y.sign() * x * (reach / x.detach().sum(-1, keepdim=True)) + poison(y, w)
        return slices.back(torch.where(inside, y, x), point)


@torch.no_grad()
def _support(y: Tensor, w: Tensor, total: float) -> Tensor:
    """Which elements of the projection onto the simplex may be positive; rows as `y`.

    Every subset S gives a lower bound τ_S = (Σ_S y − total) / Σ_S 1/w of τ, and the support gives
    τ itself. The support has the largest w y, so τ is the largest τ_S of these prefixes (Held,
    Wolfe & Crowder 1974, here with weights). Newton's method on the convex, piecewise linear
    Σ max(y − τ/w, 0) = total then mends what the cumulative sums lost.
    """
    kink, inverse = w * y, 1 / w  # an element is positive for τ below its kink
    ordered, order = kink.sort(dim=-1, descending=True)
    highest = ordered[..., :1]
    bounds = (y.gather(-1, order).cumsum(-1) - total) / inverse.gather(-1, order).cumsum(-1)
    tau = bounds.amax(-1, keepdim=True).minimum(highest)
    for _ in range(NEWTON_STEPS):
        active = kink >= tau
        numerator = torch.where(active, y, 0.0).sum(-1, keepdim=True) - total
        denominator = torch.where(active, inverse, 0.0).sum(-1, keepdim=True)
        tau = (numerator / denominator).minimum(highest)
    return kink >= tau


def _threshold(y: Tensor, w: Tensor, total: float, support: Tensor) -> Tensor:
    """max(y − τ/w, 0) on the support, 0 elsewhere; its sum is `total` to rounding.

    y − τ/w has the roundings of y, which may be far larger than x. So the same step is repeated
    from x, along 1/w as before; there it has the roundings of x only. What is 0 stays so unless
    the sum is too small.
    """
    x = torch.where(support, y, 0.0)
    free = torch.where(support, 1 / w, 0.0)
    for step in range(1 + REFINEMENTS):
        excess = x.sum(-1, keepdim=True) - total
        moved = torch.where((x > 0) | (excess < 0) | (step == 0), free, 0.0)
        x = (x - excess / moved.sum(-1, keepdim=True) * moved).clamp_min(0.0)
    return x
