"""Formats of few bits: exact where they can be, unbiased where they round at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from adabelief.low_precision import bfloat16, e5m3
from adabelief.low_precision.memory_layout import flat, is_dense, placed
from adabelief.low_precision.random_bits import Key, high, key, low, random_bits

MASK = 0xFFFFFFFF
EVERY = torch.arange(2**16, dtype=torch.int32)  # all that 16 random bits can be


def floats(count: int = 4096, seed: int = 0) -> Tensor:
    """Finite float32 numbers with bits at random: all exponents, both signs, subnormals."""
    bits = np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint64)
    numbers = torch.from_numpy(bits.astype(np.uint32).view(np.float32))
    return numbers[numbers.isfinite()]


def scramble(x: int, between: int = 0) -> int:
    """The hash in plain integers, as its author prints it."""
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = (x + between) * 0x846CA68B & MASK
    return x ^ x >> 16


def bits_by_hand(position: int, step: int, element: int, offset: int = 0) -> int:
    first = scramble(scramble(position + 0x9E3779B9 & MASK) + step & MASK)
    second = scramble(first + 0x9E3779B9 & MASK)
    return scramble(element + first + offset & MASK, second)


@pytest.mark.parametrize("offset", [0, 5, 2**32 - 3])
@pytest.mark.parametrize(("position", "step"), [(0, 1), (3, 7), (999, 10**6)])
def test_random_bits_are_the_hash_of_their_place(position: int, step: int, offset: int) -> None:
    expected = [bits_by_hand(position, step, i, offset) for i in range(100)]
    keys: list[Key] = [key(position, step, offset), key(position, torch.tensor(step), offset)]
    for each in keys:
        got = random_bits(torch.empty(100), each)
        assert [int(bits) & MASK for bits in got] == expected
        assert [int(bits) for bits in low(got)] == [bits & 0xFFFF for bits in expected]
        assert [int(bits) for bits in high(got)] == [bits >> 16 for bits in expected]


def test_random_bits_follow_memory_and_not_the_index() -> None:
    tensor = torch.empty(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    got = random_bits(tensor, key(1, 1))
    assert got.stride() == tensor.stride()
    assert torch.equal(flat(got), random_bits(torch.empty(96), key(1, 1)))


def test_random_bits_of_other_parameters_steps_and_halves_are_unrelated() -> None:
    """Each of the 16 bits agrees in half of the cases: 6 standard deviations of a fair coin."""
    n = 2**16
    here = random_bits(torch.empty(n), key(0, 1))
    others = [
        high(random_bits(torch.empty(n), key(1, 1))),
        high(random_bits(torch.empty(n), key(0, 2))),
        high(here).roll(1),
        low(here),
        torch.zeros(n, dtype=torch.int32),
    ]
    for other in others:
        for bit in range(16):
            agree = ((high(here) ^ other) >> bit & 1 == 0).double().mean().item()
            assert abs(agree - 0.5) < 6 * 0.5 / n**0.5


def test_nearest_is_torchs_own_rounding_and_join_undoes_split() -> None:
    x = torch.cat([floats(), torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 3.4e38, 1e-45])])
    upper, rest = bfloat16.split(x)
    assert torch.equal(bfloat16.join(upper, rest).view(torch.int32), x.view(torch.int32))
    assert rest.dtype == torch.int16
    ties = (x.view(torch.int32) & 0xFFFF) == 0x8000
    assert torch.equal(upper[~ties], bfloat16.nearest(x)[~ties])
    assert bfloat16.nearest(torch.tensor([1 + 2**-8, 1 + 3 * 2**-8])).tolist() == [1.0, 1 + 2**-6]


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FFFFFFF, -1, -0x400000])
def test_a_nan_stays_one_whatever_its_payload(bits: int) -> None:
    x = torch.tensor([bits], dtype=torch.int32).view(torch.float32)
    upper, rest = bfloat16.split(x)
    assert bfloat16.join(upper, rest).isnan().all()
    assert bfloat16.stochastic(x, torch.tensor([0xFFFF], dtype=torch.int32)).isnan().all()
    assert bfloat16.nearest(x).isnan().all()


@pytest.mark.parametrize("value", [1.0, 1 + 2**-20, -3.14159, 1e-39, 65280.5, 0.0])
def test_stochastic_rounding_has_the_right_mean_exactly(value: float) -> None:
    """Over all 2¹⁶ random numbers; neighbours only, and a bfloat16 stays what it is."""
    x = torch.full((2**16,), value)
    rounded = bfloat16.stochastic(x, EVERY).double()
    assert rounded.mean().item() == x[0].double().item()
    assert len(rounded.unique()) <= 2
    if x[0].bfloat16().float() == x[0]:
        assert (rounded == x[0]).all()


def block(value: float, largest: float) -> Tensor:
    values = torch.full((e5m3.BLOCK,), value)
    values[0] = largest
    return values


@pytest.mark.parametrize("value", [1.0, 1.0625, 3.999, 1e-5, 2.0**-20 * 1.7])
def test_e5m3_has_the_right_mean_and_keeps_its_own_numbers(value: float) -> None:
    """Over all random numbers: exact but for the 4 bits below the 16 that are random."""
    total, largest = 0.0, 4.0
    for start in range(0, 2**16, e5m3.BLOCK - 1):
        numbers = EVERY[start : start + e5m3.BLOCK - 1]
        random = torch.zeros(e5m3.BLOCK, dtype=torch.int32)
        random[1 : 1 + len(numbers)] = numbers
        codes, exponents = e5m3.encode(block(value, largest), random)
        decoded = e5m3.decode(codes, exponents)
        assert decoded[0] == largest
        total += decoded[1 : 1 + len(numbers)].double().sum().item()
        again = e5m3.encode(decoded, torch.full_like(random, 0xFFFF))
        assert torch.equal(e5m3.decode(*again), decoded)
    x = float(torch.tensor(value))
    assert abs(total / 2**16 - x) <= x * 2**-3 * 2**-16


def test_what_is_too_small_for_its_block_becomes_the_smallest_and_never_zero() -> None:
    random = torch.zeros(e5m3.BLOCK, dtype=torch.int32)
    codes, exponents = e5m3.encode(block(1e-30, 1.0), random)
    decoded = e5m3.decode(codes, exponents)
    assert (decoded[1:] == 2.0**-31).all()
    zero = e5m3.encode(block(0.0, 0.0), random)
    assert (e5m3.decode(*zero) == 0).all()


def test_one_element_that_is_not_finite_leaves_its_block_alone() -> None:
    for bad in (torch.nan, torch.inf):
        values = torch.linspace(0.5, 1.5, e5m3.BLOCK)
        values[7] = bad
        codes, exponents = e5m3.encode(values, torch.zeros(e5m3.BLOCK, dtype=torch.int32))
        decoded = e5m3.decode(codes, exponents)
        others = torch.arange(e5m3.BLOCK) != 7
        assert (decoded - values)[others].abs().max() <= 1.5 / 8
        assert decoded[7] > 1.5  # as large as the block can hold


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_blocks_may_be_short_and_each_has_its_own_exponent(count: int) -> None:
    values = torch.logspace(-20, 8, max(count, 1))[:count]
    codes, exponents = e5m3.encode(values, torch.zeros(count, dtype=torch.int32))
    assert exponents.shape == (e5m3.blocks(count),)
    assert codes.shape == values.shape
    decoded = e5m3.decode(codes, exponents)
    for start in range(0, count, e5m3.BLOCK):
        part = slice(start, start + e5m3.BLOCK)
        floor = values[part].max() * 2**-31
        near = (decoded - values)[part].abs() <= values[part] / 8
        assert (near | (values[part] <= floor)).all()


def test_codes_lie_as_their_numbers_do() -> None:
    values = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    codes, exponents = e5m3.encode(values, torch.zeros_like(values, dtype=torch.int32))
    assert codes.stride() == values.stride()
    decoded = e5m3.decode(codes, exponents)
    assert decoded.stride() == values.stride()
    assert ((decoded - values).abs() <= values / 8).all()


def test_dense_means_that_every_place_is_used_once() -> None:
    x = torch.empty(4, 6)
    dense = (x, x.t(), x[:2], x[1:2], torch.empty(3, 1, 2), torch.empty(()), torch.empty(0, 3))
    for tensor in dense:
        assert is_dense(tensor)
        assert torch.equal(placed(flat(tensor).clone(), tensor), tensor) or tensor.isnan().any()
    for tensor in (x[:, ::2], x[:, :3], x[:1].expand(4, 6), x[:, 1:2]):
        assert not is_dense(tensor)
