"""The interpreted kernel stores the bits that the C kernel stores, and those of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from adabelief.kernels import cpu
from adabelief.low_precision.random_bits import key
from adabelief.step import fused_cpu, fused_cuda
from adabelief.step.scalars import coefficients
from cases import normal
from interpreted.arrays import (
    FORMATS,
    NARROW,
    WORDS,
    Arrays,
    assert_same,
    gradients,
    group_of,
    quiet,
)

pytestmark = quiet

FEW_SIZES = (257, 1025)
SIZES = (5, 256, 1000, 2049)

# What the C kernel has of options besides those of the cases.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "all at once": {
        "lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.1,
        "decoupled_weight_decay": False, "amsgrad": True, "clip_update": 0.5, "maximize": True,
    },
    "decoupled, long memory": {"weight_decay": 0.1, "betas": (0.99, 0.9999), "lr": 0.1},
    "beta1 0.3": {"betas": (0.3, 0.5), "clip_update": 0.9},
    "rectify": {"rectify": True, "betas": (0.9, 0.9)},
}  # fmt: skip


def equal_to_c(
    arrays: Arrays,
    options: Mapping[str, Any],
    grad_dtype: torch.dtype,
    steps: int = 2,
    bounds: tuple[float, float] | None = None,
) -> None:
    reason = cpu.unavailable()
    if reason is not None:
        pytest.skip(reason)  # the C kernel was not built: nothing to equal
    group, other = group_of(options), arrays.copy()
    random = torch.Generator().manual_seed(1)
    for t in range(1, steps + 1):
        grads = gradients(arrays, grad_dtype, random)
        c = coefficients(group, t)
        assert arrays.by(fused_cuda.update, grads, c, bounds=bounds) == []
        assert other.by(fused_cpu.update, grads, c, bounds=bounds) == []
        assert_same(arrays, other)
    assert any(bool(each.any()) for each in arrays.exp_avgs)


@pytest.mark.parametrize("name", ["plain", "all at once"])
@pytest.mark.parametrize(("dtype", "state_dtype", "master_weights"), FORMATS)
def test_every_stored_bit_is_that_of_the_c_kernel(
    dtype: torch.dtype, state_dtype: str | None, master_weights: str | None, name: str
) -> None:
    options = dict(VARIANTS[name])
    if state_dtype == "8bit":
        options["amsgrad"] = False
    random = torch.Generator().manual_seed(0)
    params = [normal(size)(random, dtype) for size in FEW_SIZES]
    equal_to_c(Arrays(params, state_dtype, master_weights), options, dtype)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_bit_of_wide_state_is_that_of_the_c_kernel(dtype: torch.dtype, name: str) -> None:
    random = torch.Generator().manual_seed(0)
    arrays = Arrays([normal(size)(random, dtype) for size in FEW_SIZES])
    steps = 7 if name == "rectify" else 3
    equal_to_c(arrays, VARIANTS[name], dtype, steps)


@pytest.mark.slow
@pytest.mark.parametrize("grad_dtype", NARROW)
@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("dtype", "state_dtype", "master_weights"), FORMATS)
def test_every_stored_bit_is_that_of_the_c_kernel_more_widely(
    dtype: torch.dtype,
    state_dtype: str | None,
    master_weights: str | None,
    name: str,
    grad_dtype: torch.dtype,
) -> None:
    options = dict(VARIANTS[name])
    if state_dtype == "8bit":
        options["amsgrad"] = False
    random = torch.Generator().manual_seed(0)
    params = [normal(size)(random, dtype) for size in SIZES]
    # Rectification starts at the sixth step.
    steps = 6 if options.get("rectify") else 2
    equal_to_c(Arrays(params, state_dtype, master_weights), options, grad_dtype, steps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_box_is_that_of_the_c_kernel(dtype: torch.dtype) -> None:
    params = [normal(257)(torch.Generator().manual_seed(0), dtype)]
    arrays = Arrays(params, None, "split" if dtype == torch.bfloat16 else None)
    equal_to_c(arrays, {"lr": 0.1}, dtype, bounds=(-0.5, 0.75))
    assert params[0].min() == -0.5
    assert params[0].max() == 0.75


@pytest.mark.parametrize("grad_dtype", NARROW)
def test_gradients_may_have_a_dtype_of_their_own(grad_dtype: torch.dtype) -> None:
    """Two launches: the scalars of a row are found by its number in the lists."""
    random = torch.Generator().manual_seed(0)
    params = [normal(7)(random, dtype) for dtype in (torch.float32, torch.bfloat16) * 2]
    equal_to_c(Arrays(params), {"lr": 0.1}, grad_dtype)


SPECIAL = (0.0, -0.0, 1e-30, 1e-42, 3e38, torch.inf, -torch.inf, torch.nan)


# The NaN that GPUs make: an addition to its bits would make it a negative zero.
DEVICE_NAN = torch.tensor(0x7FFFFFFF, dtype=torch.int32).view(torch.float32)


@pytest.mark.parametrize(("dtype", "state_dtype", "master_weights"), FORMATS)
def test_what_is_not_finite_is_stored_as_by_the_c_kernel(
    dtype: torch.dtype, state_dtype: str | None, master_weights: str | None
) -> None:
    """Also amid others: one element of a block that is not finite must not change the others."""
    reason = cpu.unavailable()
    if reason is not None:
        pytest.skip(reason)  # the C kernel was not built: nothing to equal
    random = torch.Generator().manual_seed(0)
    params = [normal(size)(random, dtype) for size in (300, 300, 3)]
    params[0][7 : 7 + len(SPECIAL)] = torch.tensor(SPECIAL).to(dtype)
    one = Arrays(params, state_dtype, master_weights)
    other = one.copy()
    for t in (1, 2):
        grads = gradients(one, torch.float32, random)
        grads[1][20 : 20 + len(SPECIAL)] = torch.tensor(SPECIAL)
        grads[1][40:45] = DEVICE_NAN
        grads[2].fill_(torch.inf)  # nothing finite in its block
        c = coefficients(group_of({"lr": 0.1}), t)
        assert one.by(fused_cuda.update, grads, c) == []
        assert other.by(fused_cpu.update, grads, c) == []
        assert_same(one, other)
    assert one.params[1][40:45].isnan().all()
    assert not one.params[1].isnan().all()
    assert not one.params[1][:20].isnan().any()


@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
def test_the_smallest_beliefs_are_stored_as_by_the_c_kernel(state_dtype: str) -> None:
    """Exponents of E5M3 end at 0."""
    reason = cpu.unavailable()
    if reason is not None:
        pytest.skip(reason)  # the C kernel was not built: nothing to equal
    random = torch.Generator().manual_seed(0)
    one = Arrays([normal(300)(random, torch.float32)], state_dtype)
    other = one.copy()
    grads = [gradients(one, torch.float32, random)[0] * 2.0**-56]
    c = coefficients(group_of({"eps": 0.0}), 1)
    assert one.by(fused_cuda.update, grads, c) == []
    assert other.by(fused_cpu.update, grads, c) == []
    assert_same(one, other)
    assert not any(each.any() for each in one.exponents)
    assert one.exp_avg_vars[0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_maximum_that_is_not_finite_stays_so_as_in_the_c_kernel(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    arrays = Arrays([normal(300)(random, dtype)], "bfloat16" if dtype == torch.bfloat16 else None)
    arrays.most[0][5:7] = torch.tensor([torch.nan, torch.inf])
    equal_to_c(arrays, {"amsgrad": True}, dtype)
    assert arrays.most[0][5].isnan()


EXACT = {"betas": (0.5, 0.5), "eps": 2.0**-8, "lr": 2.0**-6, "clip_update": 2.0**-6,
         "bias_correction": False}  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "state_dtype", "master_weights"),
    [each for each in FORMATS if each[0] != torch.float16],
)
def test_every_stored_bit_is_that_of_the_loop_where_arithmetic_is_exact(
    dtype: torch.dtype, state_dtype: str | None, master_weights: str | None
) -> None:
    """No rounding before that to storage: powers of 2, small numbers, every step clipped."""
    random = torch.Generator().manual_seed(0)
    params = [normal(size)(random, torch.bfloat16).to(dtype) for size in FEW_SIZES]
    if dtype == torch.float32:
        params = [(param * 16).round() / 16 for param in params]
    one = Arrays(params, state_dtype, master_weights)
    other = one.copy()
    for t in range(1, 4):
        grads = [
            torch.randint(-4, 5, param.shape, generator=random).to(dtype) / 4 for param in params
        ]
        c = coefficients(group_of(EXACT), t)
        assert one.by(fused_cuda.update, grads, c) == []
        other.by_loop(grads, c)
        assert_same(one, other)


@pytest.mark.parametrize(("dtype", "state_dtype", "master_weights"), FORMATS)
def test_stored_numbers_are_those_of_the_loop_within_one_code(
    dtype: torch.dtype, state_dtype: str | None, master_weights: str | None
) -> None:
    """One step: where float32 rounds otherwise, a neighbour may be stored."""
    random = torch.Generator().manual_seed(0)
    one = Arrays([normal(size)(random, dtype) for size in FEW_SIZES], state_dtype, master_weights)
    other = one.copy()
    grads = gradients(one, dtype, random)
    c = coefficients(group_of({"lr": 0.01}), 1)
    assert one.by(fused_cuda.update, grads, c) == []
    other.by_loop(grads, c)
    assert all(torch.equal(a, b) for a, b in zip(one.exponents, other.exponents, strict=True))
    for a, b in zip(
        [*one.params, *one.exp_avgs, *one.exp_avg_vars],
        [*other.params, *other.exp_avgs, *other.exp_avg_vars],
        strict=True,
    ):
        if a.dtype == torch.float32:  # some ten roundings of numbers below 4
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
        else:
            words = WORDS.get(a.itemsize, torch.uint8)
            assert ((a.view(words).long() - b.view(words).long()).abs() <= 1).all()


def test_keys_on_the_device_give_the_same_bits() -> None:
    random = torch.Generator().manual_seed(0)
    one = Arrays([normal(300)(random, torch.bfloat16) for _ in range(2)], "8bit", "stochastic")
    other = one.copy()
    grads = gradients(one, torch.bfloat16, random)
    c = coefficients(group_of({"lr": 0.1}), 1)
    step = torch.ones((), dtype=torch.int64)
    keys = [key(n, step) for n in range(2)]
    assert one.by(fused_cuda.update, grads, c) == []
    other.t = 1
    storage = replace(other.storage(), keys=keys)
    assert fused_cuda.update(*other.lists(grads, c), storage=storage) == []
    assert_same(one, other)
