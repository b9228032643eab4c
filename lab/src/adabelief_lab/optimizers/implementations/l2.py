"""L2 regularisation around an optimizer that has none of its own."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from adabelief_lab.optimizers.implementations.wrapper import GradientWrapper


class L2(GradientWrapper):
    """The optimizer inside sees g + λw in place of g.

    Args:
        inner: the optimizer inside; it has no decay of its own.
        weight_decay: λ.

    Raises:
        ValueError: weight_decay is not in [0, inf).
    """

    OPTIONS: ClassVar = {"weight_decay": 5e-4}
    weight_decay: float

    def gradient(self, param: Tensor, grad: Tensor) -> Tensor:
        """The gradient of the regularised loss: g + λw."""
        return grad.add(param, alpha=self.weight_decay)
