"""What a feasible set is to an update rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

# (point, metric √ŝ) -> nearest point of F in that metric; neither argument is written to.
Projection: TypeAlias = Callable[[Tensor, Tensor], Tensor]
