"""A tensor as rows, one for each point that is projected by itself, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adabelief.feasible.checks import Dim


@dataclass(frozen=True)
class Slices:
    """How tensors of one shape are cut into points.

    Args:
        owner: name of the set, for messages.
        shape: shape of the tensors.
        dim: dimensions that hold one point, counted from either end; None: all of them.

    Raises:
        ValueError: a dimension is out of range, or two of them are the same one.
    """

    owner: str
    shape: torch.Size
    dim: Dim

    def __post_init__(self) -> None:
        ndim = len(self.shape)
        wanted = (self.dim,) if isinstance(self.dim, int) else self.dim or ()
        if any(not -ndim <= one < ndim for one in wanted):
            allowed = f"must be in [{-ndim}, {ndim - 1}]" if ndim else "must be None"
            msg = f"dim of {self.owner} {allowed} for shape {tuple(self.shape)}, got {self.dim}"
            raise ValueError(msg)
        if len({one % ndim for one in wanted}) < len(wanted):
            msg = (
                f"dim of {self.owner} must name different dimensions of shape "
                f"{tuple(self.shape)}, got {self.dim}"
            )
            raise ValueError(msg)

    @property
    def point(self) -> tuple[int, ...]:
        """The dimensions of one point, in ascending order."""
        if self.dim is None:
            return tuple(range(len(self.shape)))
        dims = (self.dim,) if isinstance(self.dim, int) else self.dim
        return tuple(sorted(one % len(self.shape) for one in dims))

    @property
    def others(self) -> tuple[int, ...]:
        """The dimensions that number the points."""
        return tuple(one for one in range(len(self.shape)) if one not in self.point)

    def rows(self, tensor: Tensor) -> Tensor:
        """(points, elements of a point) in float64, from a tensor of `shape`."""
        length = 1
        for one in self.point:
            length *= self.shape[one]
        return tensor.permute((*self.others, *self.point)).reshape(-1, length).double()

    def broadcast(self, name: str, value: float | Tensor, like: Tensor) -> Tensor:
        """As `rows`, for a number or a tensor of fewer elements, rounded to `like`'s dtype first.

        Raises:
            ValueError: its shape does not broadcast to `shape`.
        """
        tensor = like.new_full((), value) if isinstance(value, float) else value.to(like)
        return self.rows(spread(self.owner, name, tensor, self.shape))

    def back(self, rows: Tensor, like: Tensor) -> Tensor:
        """The inverse of `rows`, in `like`'s dtype."""
        order = (*self.others, *self.point)
        ordered = rows.reshape([self.shape[one] for one in order])
        return ordered.permute([order.index(one) for one in range(len(order))]).to(like.dtype)


def spread(owner: str, name: str, tensor: Tensor, shape: torch.Size) -> Tensor:
    """`tensor` expanded to `shape`.

    Raises:
        ValueError: it does not broadcast to `shape`.
    """
    sizes = zip(reversed(tensor.shape), reversed(shape), strict=False)
    if tensor.dim() > len(shape) or any(one not in (1, size) for one, size in sizes):
        msg = (
            f"{name} of {owner} must broadcast to the parameter's shape {tuple(shape)}, "
            f"got shape {tuple(tensor.shape)}"
        )
        raise ValueError(msg)
    return tensor.expand(shape)
