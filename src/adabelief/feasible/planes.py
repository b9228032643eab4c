"""One linear equation or inequality: the projection is a step along normal / metric."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adabelief.feasible.checks import Dim, dims, finite, real
from adabelief.feasible.precision import SUM_MARGIN, margin, poison, scaled
from adabelief.feasible.slices import Slices


@dataclass(frozen=True, eq=False)
class _Plane:
    """What both sets are given, and refuse."""

    normal: float | Tensor
    offset: float
    dim: Dim = None

    def __post_init__(self) -> None:
        normal = finite("normal", self.normal)
        if not bool(torch.as_tensor(normal).any()):
            msg = f"normal must have an element other than 0, got {normal!r}"
            raise ValueError(msg)
        object.__setattr__(self, "normal", normal)
        object.__setattr__(self, "offset", real("offset", self.offset))
        dims(self.dim)

    @property
    def elementwise(self) -> bool:
        """False: a point is needed whole."""
        return False


class Hyperplane(_Plane):
    """{x : ⟨normal, x⟩ = offset}.

    The projection is y − t n/w with t = (⟨n, y⟩ − offset) / Σ n²/w.

    Args:
        normal: a number or a tensor that broadcasts to the parameter; finite, not all zeros.
            A point whose part of the normal is zero is left alone.
        offset: a finite number.
        dim: dimensions that hold one point; None: the whole tensor is one point.

    Raises:
        ValueError: normal is zero, NaN or infinite, or offset is; dim names a dimension twice.
        TypeError: an argument is of the wrong kind.
    """

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Return the nearest point of the hyperplane; ⟨n, x⟩ is right to rounding of its terms.

        Raises:
            ValueError: dim or the normal's shape does not fit the point.
        """
        slices = Slices("Hyperplane", point.shape, self.dim)
        if not point.numel():
            return point
        y, w, n = _rows(slices, self.normal, point, metric)
        return slices.back(_step(y, w, n, self.offset, 0.0) + poison(y, w), point)


class Halfspace(_Plane):
    """{x : ⟨normal, x⟩ ≤ offset}; outside, the projection is the hyperplane's.

    Args:
        normal: as for `Hyperplane`.
        offset: as for `Hyperplane`.
        dim: as for `Hyperplane`.

    Raises:
        ValueError: as for `Hyperplane`.
        TypeError: as for `Hyperplane`.
    """

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Return the nearest point of the halfspace; never one outside, and `point` if inside.

        Raises:
            ValueError: dim or the normal's shape does not fit the point.
        """
        slices = Slices("Halfspace", point.shape, self.dim)
        if not point.numel():
            return point
        y, w, n = _rows(slices, self.normal, point, metric)
        terms = n * y
        slack = SUM_MARGIN * terms.abs().sum(-1, keepdim=True)
        # With an infinite term the difference is NaN, or -inf for a point that is inside.
        inside = terms.sum(-1, keepdim=True) - slack <= self.offset
        x = _step(y, w, n, self.offset, margin(point.dtype)) + poison(y, w)
        return slices.back(torch.where(inside, y, x), point)


def _rows(
    slices: Slices, normal: float | Tensor, point: Tensor, metric: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    n = slices.broadcast("normal", normal, point)
    # Where n is 0 nothing moves, so that element must not set the scale of the metric.
    w = scaled(torch.where(n == 0, 0.0, slices.rows(metric)))
    return slices.rows(point), w, n


def _step(y: Tensor, w: Tensor, n: Tensor, offset: float, inner: float) -> Tensor:
    """Onto ⟨n, x⟩ = offset, or below it by the part `inner` of Σ |n x|.

    The first step leaves the roundings of y, which may be far larger than x; the same step from
    there has those of x only.
    """
    peak = n.abs().amax(-1, keepdim=True)
    peak = torch.where(peak > 0, peak, 1.0)
    direction = (n / peak) / w
    length = (n / peak * direction).sum(-1, keepdim=True)
    length = torch.where(length > 0, length, 1.0)
    x = y
    for part in (0.0, 0.0, inner):
        terms = n * x
        goal = offset - part * terms.detach().abs().sum(-1, keepdim=True)
        x = x - (terms.sum(-1, keepdim=True) - goal) / peak / length * direction
    return x
