"""The Euclidean ball: in another metric its projection is a secular equation in one unknown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adabelief.feasible.checks import Dim, dims, finite, real
from adabelief.feasible.precision import SUM_MARGIN, scaled
from adabelief.feasible.slices import Slices

# The bounds of log₂ λ are at most 240 + 53 binary orders apart, and those of 2 √n: VANISHING,
# the roundoff, and see `_secular`. Nine bisections leave 0.7 of an order or less, and from there
# six of Newton's steps double the correct digits up to float64's last; `project` does a seventh.
BISECTIONS = 9
NEWTON_STEPS = 6


@dataclass(frozen=True, eq=False)
class L2Ball:
    """{x : ‖x − center‖₂ ≤ radius}.

    Outside, the projection is c + w (y − c) / (w + λ) with the λ > 0 that puts it on the sphere.

    Args:
        radius: a finite number > 0.
        center: a number or a tensor that broadcasts to the parameter; finite.
        dim: dimensions that hold one point; None: the whole tensor is one point.

    Raises:
        ValueError: radius or center is out of range, or dim names a dimension twice.
        TypeError: an argument is of the wrong kind.
    """

    radius: float
    center: float | Tensor = 0.0
    dim: Dim = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", real("radius", self.radius, positive=True))
        object.__setattr__(self, "center", finite("center", self.center))
        dims(self.dim)

    @property
    def elementwise(self) -> bool:
        """False: a point is needed whole."""
        return False

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Return the nearest point of the ball; never one outside, and `point` if inside.

        Raises:
            ValueError: dim or the center's shape does not fit the point.
        """
        slices = Slices("L2Ball", point.shape, self.dim)
        if not point.numel():
            return point
        y, w = slices.rows(point), scaled(slices.rows(metric))
        c = slices.broadcast("center", self.center, point)
        inside = _norm(y - c) <= self.radius * (1 + SUM_MARGIN)
        d = (y - c) / self.radius
        multiplier = torch.where(inside, 0.0, _secular(d, w))
        # One step of Newton's method on ‖x(λ)‖² = 1 from its solution has the value of the
        # solution and, as λ depends on d and w through that equation, its derivative too.
        x = d * (w / (w + multiplier))
        slope = torch.where(inside, 1.0, 2 * (x * x / (w + multiplier)).sum(-1, keepdim=True))
        newton = ((x * x).sum(-1, keepdim=True) - 1) / slope.detach()
        x = d * (w / (w + torch.where(inside, 0.0, multiplier + newton)))
        length = _norm(x)
        reach = self.radius * (1 - SUM_MARGIN) / torch.where(length > 0, length, 1.0)
        x = _rounded(c, x * reach, point.dtype)
        return slices.back(torch.where(inside, y, x), point)


@torch.no_grad()
def _secular(d: Tensor, w: Tensor) -> Tensor:
    """The λ ≥ 0 with ‖w d / (w + λ)‖ = 1 for each row outside the unit ball; rows × 1.

    Bounds: no element of the solution is above 1, so λ ≥ wᵢ (|dᵢ| − 1) for all i; ‖x‖ is above
    ‖d‖ min w / (min w + λ), so λ ≥ min w (‖d‖ − 1); it is below max wᵢ |dᵢ| √n / λ.
    1/‖x(λ)‖ is concave and increasing in λ, so Newton's method for 1/‖x(λ)‖ = 1 (Moré & Sorensen
    1983) goes up to the solution from below and never beyond it; bisection of log λ first keeps
    it from crawling where the weights are of very different orders.
    """
    size, pull = d.abs(), w * d  # temporaries are reused below: fresh memory is the costly part
    least = w.amin(-1, keepdim=True) * (_norm(d) - 1).clamp(2.0**-53, 1.0)
    low = (w * (size - 1)).amax(-1, keepdim=True).maximum(least).log2()
    high = (w * size).amax(-1, keepdim=True).mul(d.shape[-1] ** 0.5).log2()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        squares = (w + middle.exp2()).reciprocal_().mul_(pull).square_()
        outside = squares.sum(-1, keepdim=True) > 1
        low, high = torch.where(outside, middle, low), torch.where(outside, high, middle)
    multiplier = low.exp2()
    for _ in range(NEWTON_STEPS):
        shifted = w + multiplier
        squares = (pull / shifted).square_()
        norm = squares.sum(-1, keepdim=True).sqrt()
        slope = squares.div_(shifted).sum(-1, keepdim=True)
        multiplier = multiplier + (norm - 1) * norm**2 / slope
    return multiplier


def _rounded(center: Tensor, step: Tensor, dtype: torch.dtype) -> Tensor:
    """Center + step as `dtype` has it, no element further from the center than the step; rows.

    To autograd the rounding is a constant.
    """
    x = center + step
    with torch.no_grad():
        nearest = x.to(dtype)
        beyond = (nearest.double() - center).abs() > step.abs()
        rounded = torch.where(beyond, nearest.nextafter(center.to(dtype)), nearest)
        change = rounded.double() - x
    return x + change


def _norm(rows: Tensor) -> Tensor:
    """Euclidean norm of each row, rows × 1; a constant to autograd.

    A sum of squares is added up in blocks; `vector_norm` is not, and loses digits with a million.
    """
    return rows.detach().square().sum(-1, keepdim=True).sqrt()
