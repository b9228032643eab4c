"""E5M3: eight bits for s, 5 of exponent and 3 of mantissa; 256 elements share an offset to it.

s of one block spans many decades, so a code with an absolute floor would make some of it 0 and the
step explode; 5 bits of exponent are 32 octaves. A code is the upper bits of the float32 less those
of the block's smallest: `bits >> 20`, counted from `exponent << 3`. Blocks follow memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adabelief.low_precision.memory_layout import flat, placed

BLOCK = 256  # elements that share an exponent
DROPPED = 20  # of float32's 23 bits of mantissa
OCTAVES = 32


def blocks(numel: int) -> int:
    """How many blocks, the last of which may be short."""
    return -(-numel // BLOCK)


def encode(s: Tensor, random: Tensor) -> tuple[Tensor, Tensor]:
    """(codes as uint8 of the shape of `s`, exponents as uint8 of shape (blocks,)).

    Rounded up or down at random, so that the mean is right; what is too small for its block
    becomes the block's smallest (0 would make the next step explode), what is not finite its
    largest.

    Args:
        s: float32, ≥ 0.
        random: int32 below 2¹⁶, uniform, of the same shape.
    """
    bits = _by_block(flat(s).view(torch.int32))
    most = torch.where(bits < 0x7F800000, bits, 0).amax(dim=1, keepdim=True)
    # Rounded up first: at random the largest may become the next octave's first.
    exponents = ((most + ((1 << DROPPED) - 1)) >> 23).sub(OCTAVES - 1).clamp_min(0)
    rounded = bits + _by_block(flat(random) << 4)
    # A NaN may wrap to a negative number, and is as good as infinite here.
    rounded = torch.where(bits < 0x7F800000, rounded, 0x7F800000)
    codes = ((rounded >> DROPPED) - (exponents << 3)).clamp(0, 255)
    vector = codes.to(torch.uint8).reshape(-1)[: s.numel()]
    return placed(vector, s), exponents.to(torch.uint8).reshape(-1)


def decode(codes: Tensor, exponents: Tensor) -> Tensor:
    """The float32 tensor that codes and exponents stand for, in the memory layout of `codes`."""
    bits = _by_block(flat(codes).to(torch.int32)) + (exponents.to(torch.int32) << 3).unsqueeze(1)
    vector = (bits << DROPPED).view(torch.float32).reshape(-1)[: codes.numel()]
    return placed(vector, codes)


def _by_block(vector: Tensor) -> Tensor:
    """As rows of one block each, the last one filled up with zeros."""
    filled = torch.nn.functional.pad(vector, (0, -vector.numel() % BLOCK))
    return filled.reshape(-1, BLOCK)
