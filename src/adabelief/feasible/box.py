"""Bounds on every element: the projection is a clamp, whatever the metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adabelief.feasible.checks import number_or_tensor
from adabelief.feasible.slices import spread


@dataclass(frozen=True, eq=False)
class Box:
    """{x : low ≤ x ≤ high}, element by element, with the bounds rounded to the point's dtype.

    Args:
        low: a number or a tensor that broadcasts to the parameter; -inf: no bound.
        high: likewise, ≥ `low`; inf: no bound.

    Raises:
        ValueError: low > high somewhere, a bound is NaN, or no real number is within them.
        TypeError: a bound is neither a number nor a floating-point tensor.
    """

    low: float | Tensor
    high: float | Tensor

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, number_or_tensor(name, getattr(self, name)))
        low, high = torch.as_tensor(self.low), torch.as_tensor(self.high)
        try:
            empty = (low > high) | (low == math.inf) | (high == -math.inf)
        except RuntimeError as error:
            msg = (
                "low and high of Box must broadcast to one shape, "
                f"got {tuple(low.shape)} and {tuple(high.shape)}"
            )
            raise ValueError(msg) from error
        if bool(empty.any()):
            msg = (
                "low must be <= high, with real numbers between them, "
                f"got low={self.low!r} and high={self.high!r}"
            )
            raise ValueError(msg)

    @property
    def dim(self) -> None:
        """None: no dimension is special."""
        return

    @property
    def elementwise(self) -> bool:
        """True for bounds of one element; other bounds would have to be cut as the tensor is."""
        return all(torch.as_tensor(bound).numel() == 1 for bound in (self.low, self.high))

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Clamp `point`; the metric does not matter. NaN stays NaN.

        Raises:
            ValueError: at the first use, if a bound does not broadcast to the point.
        """
        del metric
        for name in ("low", "high"):
            value: float | Tensor = getattr(self, name)
            if isinstance(value, Tensor):
                bound = spread("Box", name, value.to(point), point.shape)
            else:
                bound = point.new_full((), value)
            outside = point < bound if name == "low" else point > bound
            point = torch.where(outside, bound, point)
        return point


def bounds(feasible_set: object) -> tuple[float, float] | None:
    """The same two bounds of every element, if that is all there is to a set, else None."""
    if type(feasible_set) is NonNegative:
        return 0.0, math.inf
    if type(feasible_set) is not Box or not feasible_set.elementwise:
        return None
    low, high = feasible_set.low, feasible_set.high
    if any(isinstance(bound, Tensor) and bound.device.type != "cpu" for bound in (low, high)):
        return None  # a look at them would wait for the device
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class NonNegative:
    """{x : x ≥ 0}: the negative elements become 0."""

    @property
    def dim(self) -> None:
        """None: no dimension is special."""
        return

    @property
    def elementwise(self) -> bool:
        """True: every part of a tensor can be projected by itself."""
        return True

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Replace what is below 0 by 0; the metric does not matter. NaN stays NaN."""
        del metric
        return torch.where(point < 0, 0.0, point)
