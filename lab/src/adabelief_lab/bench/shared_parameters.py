"""Parameters and gradients that all candidates share; each candidate has only its own state.

So the largest model fits into memory with many candidates, and no candidate finds data in the
cache that another would not find.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adabelief_lab.bench.address_randomisation import RandomPadding
from adabelief_lab.bench.models import Model

SEED = 0


class SharedParameters:
    """The parameters of a model in one dtype, and two sets of gradients that take turns.

    There are two sets because a gradient that never changes is predicted ever better: g − m and
    with it s would vanish, and steps would grow, as in no training. With g₁, g₂, g₁, ... the
    residual stays about (g₁ − g₂)/2. All values are normal deviates: neither denormal nor infinite.
    """

    def __init__(
        self, model: Model, dtype: torch.dtype = torch.float32, padding: RandomPadding | None = None
    ) -> None:
        generator = torch.Generator().manual_seed(SEED)

        def normal() -> list[Tensor]:
            if padding is not None:
                padding.add()
            return [torch.randn(shape, generator=generator, dtype=dtype) for shape in model.shapes]

        self.params = [nn.Parameter(tensor) for tensor in normal()]
        self._turns = (normal(), normal())
        self._turn = 0
        self.turn()

    def turn(self) -> None:
        """Give every parameter its next gradient: a new tensor object, as backward() makes one."""
        self._turn = 1 - self._turn
        for param, grad in zip(self.params, self._turns[self._turn], strict=True):
            param.grad = grad.detach()

    def check(self) -> None:
        """Refuse to go on with numbers that make arithmetic slow or meaningless.

        Raises:
            RuntimeError: a parameter or a gradient is no longer finite.
        """
        tensors = [*self.params, *self._turns[0], *self._turns[1]]
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
            msg = "a parameter or gradient stopped being finite: the times mean nothing"
            raise RuntimeError(msg)
