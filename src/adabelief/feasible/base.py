"""What the optimizer asks of a feasible set: one method."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class FeasibleSet(Protocol):
    """A closed convex set F with its projection in a diagonal metric.

    The sets of this package also say `dim` (the dimensions that hold one point; None: all) and
    `elementwise` (whether a part of the tensor can be projected without the rest).
    """

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        """Return argmin over x in F of Σ metric · (x − point)².

        Args:
            point: any shape, float32 or float64; never written to.
            metric: as `point`, ≥ 0, √ŝ in Algorithm 2; never written to.

        Returns:
            The projection, shape and dtype as `point`; it may be `point` itself.
        """
        ...
