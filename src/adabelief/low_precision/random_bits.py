"""Random bits as a pure function of (parameter, step, element): no generator, no state.

So a run is reproducible and can be resumed, and neither the number of threads nor the path matters.
All arithmetic is that of unsigned 32-bit numbers, which wrap around.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from adabelief.low_precision.memory_layout import placed

MASK = 0xFFFFFFFF
# "lowbias32" of Chris Wellons' hash prospector (public domain): two multiplications, measured bias
# 0.17 of 2^-32; written as signed numbers, which int32 tensors take.
FACTORS = (0x7FEB352D, 0x846CA68B - 2**32)
GOLDEN = 0x9E3779B9  # 2³² / φ: keeps small numbers apart

# (k0, k1): two numbers below 2³², ints or, where the host must not know t, int64 tensors.
Key: TypeAlias = tuple[int, int] | tuple[Tensor, Tensor]
Number = TypeVar("Number", int, Tensor)


def key(position: int, step: Number, offset: int = 0) -> tuple[Number, Number]:
    """The key of one parameter at one step.

    Args:
        position: number of the parameter in its optimizer, counted over all groups from 0.
        step: t, 1 at the first step; a tensor gives tensors.
        offset: what is added to the positions of elements: where a shard begins in the whole.
    """
    first = _scramble((_scramble(position + GOLDEN & MASK) + step) & MASK)
    return (first + offset) & MASK, _scramble((first + GOLDEN) & MASK)


def random_bits(like: Tensor, key: Key) -> Tensor:
    """32 random bits for each element, by its place in the memory of `like`; int32, its shape."""
    first, second = (_signed(part) for part in key)
    place = torch.arange(like.numel(), dtype=torch.int32, device=like.device)
    return placed(_scramble(place + first, second), like)


def low(bits: Tensor) -> Tensor:
    """The half that rounds the parameter: numbers below 2¹⁶."""
    return bits & 0xFFFF


def high(bits: Tensor) -> Tensor:
    """The half that rounds s: numbers below 2¹⁶."""
    return (bits >> 16) & 0xFFFF


def _scramble(x: Number, between: Number | int = 0) -> Number:
    """Wellons' hash, with `between` added amid its multiplications."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x = _wrapped(x * FACTORS[0])
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = _wrapped(_wrapped(x + between) * FACTORS[1])
    return x ^ ((x >> 16) & 0xFFFF)


def _wrapped(x: Number) -> Number:
    """The lowest 32 bits; int32 tensors have no others."""
    return x if isinstance(x, Tensor) and x.dtype == torch.int32 else x & MASK


def _signed(part: int | Tensor) -> int | Tensor:
    """A number below 2³² as the int32 with the same bits."""
    if isinstance(part, Tensor):
        return torch.where(part >= 2**31, part - 2**32, part).to(torch.int32)
    return part - 2**32 if part >= 2**31 else part
