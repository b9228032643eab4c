"""Between arithmetic and what is stored, on the GPU: the same bits as adabelief.low_precision.

Blocks of values are two-dimensional, a row of them sharing one exponent (low_precision/e5m3.py).
Unsigned 32-bit numbers wrap around. Sixteen-bit brain floats are handled as integers: conversions
are then the same on every architecture and in Triton's interpreter.
"""
# ruff: noqa: N803, N806, SIM300, PLR0124
# Capitals are compile-time constants; x != x where x is NaN; Triton inlines every function.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

# Triton's functions see global names only as constexpr.
BLOCK = tl.constexpr(256)  # elements of one exponent: low_precision.e5m3.BLOCK
STATE_BFLOAT16 = tl.constexpr(1)  # kernels.abi.STATE_DTYPES
STATE_8BIT = tl.constexpr(2)
MASTER_SPLIT = tl.constexpr(1)  # kernels.abi.MASTER_WEIGHTS
MASTER_STOCHASTIC = tl.constexpr(2)


@triton.jit
def pointer(address, start, DTYPE: tl.constexpr, ALIGNED: tl.constexpr):
    """Where element `start` of the array at `address` lies; sixteen-bit floats as integers."""
    STORED: tl.constexpr = tl.uint16 if DTYPE == tl.bfloat16 else DTYPE
    found = address.to(tl.pointer_type(STORED)) + start
    if ALIGNED:  # else one element after the other is loaded
        found = tl.multiple_of(found, 16)
    return found


@triton.jit
def read(pointers, inside, FULL: tl.constexpr):
    """What is stored; 0 beyond the end."""
    if FULL:
        found = tl.load(pointers)
    else:
        found = tl.load(pointers, mask=inside, other=0)
    return found


@triton.jit
def write(pointers, value, inside, FULL: tl.constexpr):
    """Store."""
    if FULL:
        tl.store(pointers, value)
    else:
        tl.store(pointers, value, mask=inside)


@triton.jit
def bits(x):
    """float32 as an unsigned number."""
    return x.to(tl.uint32, bitcast=True)


@triton.jit
def from_bits(x):
    """An unsigned number as float32."""
    return x.to(tl.float32, bitcast=True)


@triton.jit
def widened(x, DTYPE: tl.constexpr):
    """As it is computed: float32 or float64."""
    if DTYPE == tl.bfloat16:
        found = from_bits(x.to(tl.uint32) << 16)
    elif DTYPE == tl.float16:
        found = x.to(tl.float32)
    else:
        found = x
    return found


@triton.jit
def narrowed(x, DTYPE: tl.constexpr):
    """To the nearest, ties to even."""
    if DTYPE == tl.bfloat16:
        found = upper(bits(x) + 0x7FFF + ((bits(x) >> 16) & 1), x)
    elif DTYPE == tl.float16:
        found = x.to(tl.float16)
    else:
        found = x
    return found


@triton.jit
def upper(x_bits, x):
    """The upper half, or a NaN where x is one, which an addition may have made infinite."""
    return tl.where(x != x, 0x7FC0, x_bits >> 16).to(tl.uint16)


@triton.jit
def random_bits(place, first, between):
    """32 random bits for each place: low_precision/random_bits.py.

    The multipliers are Wellons' "lowbias32", public domain.
    """
    x = place + first
    x ^= x >> 16
    x *= 0x7FEB352D
    x ^= x >> 15
    x = (x + between) * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def stochastic(x, random):
    """To bfloat16 up or down; `random` is below 2¹⁶."""
    return upper(bits(x) + random, x)


@triton.jit
def join(param, rest):
    """The float32 that `param` and its sixteen more bits stand for."""
    return from_bits((param.to(tl.uint32) << 16) + rest.to(tl.int32).to(tl.uint32, bitcast=True))


@triton.jit
def split(x):
    """(nearest bfloat16, what it lacks), which together are exactly x; a NaN is only that."""
    high = upper(bits(x) + 0x8000, x)
    rest = bits(x) - (high.to(tl.uint32) << 16)
    return high, tl.where(x != x, 0, rest).to(tl.uint16).to(tl.int16, bitcast=True)


@triton.jit
def decode(codes, exponents):
    """float32 of E5M3 codes; `exponents` one for each row."""
    return from_bits(((exponents.to(tl.uint32) << 3)[:, None] + codes.to(tl.uint32)) << 20)


@triton.jit
def encode(s, random, inside):
    """(E5M3 codes, exponents one for each row); `random` is below 2¹⁶."""
    finite = bits(s) < 0x7F800000
    most = tl.max(tl.where(finite & inside, bits(s), 0).to(tl.int32), axis=1)
    # Rounded up first: at random the largest may become the next octave's first.
    exponents = tl.maximum(((most + 0xFFFFF) >> 23) - 31, 0)
    rounded = tl.where(finite, bits(s) + (random << 4), 0x7F800000)
    codes = (rounded >> 20).to(tl.int32) - (exponents << 3)[:, None]
    codes = tl.minimum(tl.maximum(codes, 0), 255)
    return codes.to(tl.uint8), exponents.to(tl.uint8)
