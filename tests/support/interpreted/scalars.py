"""Scalars that lie on the device: every row finds its own."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief.step import fused_cuda
from adabelief.step.scalars import Coefficients, coefficients, traced_coefficients
from cases import normal
from interpreted.arrays import Arrays, assert_same, group_of, quiet
from oracle import Oracle

pytestmark = quiet


def differing_coefficients(n: int, random: torch.Generator) -> Coefficients:
    """Every scalar that may be a tensor is one, each entry another number."""
    c = coefficients(group_of({}), 5)

    def numbers(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=random)

    return replace(
        c,
        keep=numbers(0.8, 1.0),
        beta1=numbers(0.1, 0.95),
        beta2=numbers(0.9, 0.99),
        outer_eps=numbers(1e-8, 1e-3),
        adaptive=torch.arange(n) % 2 == 0,
        direction_scale=numbers(0.5, 2.0),
        step_size=numbers(0.01, 0.1),
    )


@pytest.mark.parametrize("coupled", [False, True])
def test_every_row_finds_its_own_scalars_on_the_device(coupled: bool) -> None:
    """Against one call for each row with floats; the second row makes a launch of its own."""
    random = torch.Generator().manual_seed(0)
    params = [normal(size)(random, torch.float32) for size in (3, 4, 1025, 5)]
    params[1] = params[1].to(torch.bfloat16)
    c = differing_coefficients(len(params), random)
    if coupled:
        c = replace(c, coupled_decay=c.keep / 10, keep=None)
    one = Arrays(params)
    other = one.copy()
    grads = [normal(*param.shape)(random, torch.float32) for param in params]
    assert one.by(fused_cuda.update, grads, c) == []
    for i in range(len(params)):
        exact: dict[str, Any] = {}
        for each in fields(c):
            value = getattr(c.of(i), each.name)
            exact[each.name] = value.item() if isinstance(value, Tensor) else value
        lists = other.params, grads, other.exp_avgs, other.exp_avg_vars
        params_, grads_, exp_avgs, exp_avg_vars = ([each[i]] for each in lists)
        floats = Coefficients(**exact)
        assert fused_cuda.update(params_, grads_, exp_avgs, exp_avg_vars, [], floats) == []
    # 1 − β is rounded twice where β is a float32 tensor: an ulp of m and s, few of θ.
    for a, b in zip(
        [*one.params, *one.exp_avgs, *one.exp_avg_vars],
        [*other.params, *other.exp_avgs, *other.exp_avg_vars],
        strict=True,
    ):
        torch.testing.assert_close(
            a, b, rtol=1e-6 if a.dtype == torch.float32 else 2**-7, atol=1e-7
        )


@pytest.mark.parametrize("beta1", [0.25, 0.5, 0.75])
def test_scalars_on_the_device_give_the_bits_of_the_same_floats(beta1: float) -> None:
    """Where float32 holds them exactly, as well as 1 − β."""
    random = torch.Generator().manual_seed(0)
    one = Arrays([normal(300)(random, torch.float32)])
    floats = replace(
        coefficients(group_of({}), 1),
        keep=0.75, beta1=beta1, beta2=0.5, outer_eps=2.0**-20, direction_scale=0.5,
        step_size=2.0**-6,
    )  # fmt: skip
    names = ("keep", "beta1", "beta2", "outer_eps", "direction_scale", "step_size")
    tensors: dict[str, Any] = {name: torch.tensor([getattr(floats, name)]) for name in names}
    other = one.copy()
    for _ in range(3):
        grads = [normal(300)(random, torch.float32)]
        assert one.by(fused_cuda.update, grads, floats) == []
        assert other.by(fused_cuda.update, grads, replace(floats, **tensors)) == []
        assert_same(one, other)


def test_a_tensor_option_is_one_number_seen_many_times() -> None:
    options = {"lr": torch.tensor(0.1), "weight_decay": torch.tensor([0.2]),
               "betas": (torch.tensor(0.8), torch.tensor(0.9))}  # fmt: skip
    random = torch.Generator().manual_seed(0)
    arrays = Arrays([normal(5)(random, torch.float32) for _ in range(3)])
    oracle = Oracle(arrays.params, traced=True)
    exact = {"lr": 0.1, "weight_decay": 0.2, "betas": (0.8, 0.9)}
    exact = {name: torch.tensor(value).tolist() for name, value in exact.items()}
    for t in range(1, 4):
        times = [torch.tensor(float(t))] * 3
        c = traced_coefficients(group_of(options), times, torch.device("cpu"), torch.float32)
        grads = [normal(5)(random, torch.float32) for _ in range(3)]
        assert arrays.by(fused_cuda.update, grads, c) == []
        states = [
            {"step": times[i], "exp_avg": arrays.exp_avgs[i], "exp_avg_var": arrays.exp_avg_vars[i]}
            for i in range(3)
        ]
        oracle.expect(grads, arrays.params, states, exact)
