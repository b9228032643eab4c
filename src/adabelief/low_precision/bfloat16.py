"""bfloat16: the upper half of a float32. To nearest, at random, or with the lower half kept."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest(x: Tensor) -> Tensor:
    """To the nearest bfloat16, ties to even."""
    return x.to(torch.bfloat16)


def stochastic(x: Tensor, random: Tensor) -> Tensor:
    """Up or down, with the probability that makes the mean x. Exact numbers stay.

    Args:
        x: float32.
        random: int32 below 2¹⁶, uniform, of the same shape.
    """
    return _upper(x.view(torch.int32) + random, x)


def split(x: Tensor) -> tuple[Tensor, Tensor]:
    """(nearest bfloat16, ties away from 0; what it lacks as int16): together exactly x.

    A NaN keeps nothing but that it is one.
    """
    bits = x.view(torch.int32)
    upper = _upper(bits + 0x8000, x)
    rest = bits - (upper.view(torch.int16).to(torch.int32) << 16)
    return upper, torch.where(x.isnan(), 0, rest).to(torch.int16)


def join(upper: Tensor, rest: Tensor) -> Tensor:
    """The float32 that `split` made into two; an `upper` that was changed since keeps `rest`."""
    bits = (upper.view(torch.int16).to(torch.int32) << 16) + rest
    return bits.view(torch.float32)


def _upper(bits: Tensor, x: Tensor) -> Tensor:
    """The upper halves as bfloat16; NaN where x is, which an addition may have made infinite."""
    upper = (bits >> 16).to(torch.int16).view(torch.bfloat16)
    return torch.where(x.isnan(), torch.nan, upper)
