"""The interpreted kernel follows the reference, within derived bounds (tests/oracle.py)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from adabelief.step import fused_cuda
from adabelief.step.scalars import coefficients, traced_coefficients
from cases import BY_NAME, CASES, GRADIENTS, STEPS, Case, normal
from interpreted.arrays import DTYPES, Arrays, group_of, quiet
from oracle import Oracle

pytestmark = quiet

# One element, one tile and its neighbours, blocks of 256 and their neighbours, several tiles.
SIZES = (1, 5, 255, 256, 257, 1000, 1024, 4097)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
scalars_are = pytest.mark.parametrize("traced", [False, True], ids=["floats", "tensors"])


def follow(
    case: Case, dtype: torch.dtype, traced: bool, sizes: Sequence[int], steps: int = STEPS
) -> None:
    """Compare with the reference after every step."""
    group = group_of(case.options)
    random = torch.Generator().manual_seed(0)
    arrays = Arrays([normal(size)(random, dtype) for size in sizes])
    oracle = Oracle(arrays.params, traced=traced)
    for t in range(1, steps + 1):
        grads = [normal(size)(random, dtype) for size in sizes]
        times = [torch.tensor(float(t))] * len(sizes)
        wide = arrays.exp_avgs[0].dtype
        c = coefficients(group, t)
        if traced:
            c = traced_coefficients(group, times, torch.device("cpu"), wide)
        assert arrays.by(fused_cuda.update, grads, c) == []
        names = {"exp_avg": arrays.exp_avgs, "exp_avg_var": arrays.exp_avg_vars}
        if group["amsgrad"]:
            names["max_exp_avg_var"] = arrays.most
        states = [
            {"step": times[i], **{name: own[i] for name, own in names.items()}}
            for i in range(len(sizes))
        ]
        oracle.expect(grads, arrays.params, states, case.options)


@scalars_are
@every_case
def test_every_case_follows_the_reference(case: Case, traced: bool) -> None:
    follow(case, torch.float32, traced, (257,), steps=8)


@scalars_are
@every_dtype
def test_every_size_and_dtype_follows_the_reference(dtype: torch.dtype, traced: bool) -> None:
    follow(BY_NAME["all at once"], dtype, traced, SIZES, steps=2)


@pytest.mark.slow
@scalars_are
@every_dtype
@every_case
def test_everything_follows_the_reference(case: Case, dtype: torch.dtype, traced: bool) -> None:
    follow(case, dtype, traced, (5, 300), steps=7)


@pytest.mark.parametrize("kind", GRADIENTS)
def test_every_kind_of_gradient_follows_the_reference(kind: str) -> None:
    random = torch.Generator().manual_seed(2)
    arrays = Arrays([normal(21)(random, torch.float32)])
    oracle = Oracle(arrays.params)
    for t, grad in enumerate(GRADIENTS[kind](torch.Size((21,)), random, torch.float32), 1):
        assert arrays.by(fused_cuda.update, [grad], coefficients(group_of({}), t)) == []
        state = {"step": torch.tensor(float(t)), "exp_avg": arrays.exp_avgs[0]}
        state["exp_avg_var"] = arrays.exp_avg_vars[0]
        oracle.expect([grad], arrays.params, [state], {})
