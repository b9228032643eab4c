"""Every implementation equals the reference: parameters and state, after every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from adabelief.step.paths import FOREACH_CPU_BELOW
from backends import BACKENDS, TRACED
from cases import (
    BY_NAME,
    CASES,
    DTYPES,
    GRADIENTS,
    SHAPES,
    STEPS,
    Case,
    as_param,
    noise,
    normal,
)
from oracle import Oracle

every_backend = pytest.mark.parametrize("backend", BACKENDS)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])


def follow(
    backend: str,
    options: Mapping[str, Any],
    params: Sequence[Tensor],
    grads: Sequence[Sequence[Tensor]],
) -> Oracle:
    """Run a backend, compare after every step, and return the oracle as it is at the end."""
    params = [param.detach().requires_grad_() for param in params]
    oracle = Oracle(params, traced=backend in TRACED)
    run = BACKENDS[backend](options, params, grads)
    for step, states in zip(grads, run, strict=True):
        oracle.expect(step, params, states, options)
    return oracle


def transposed(rows: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """Gradients by parameter, as gradients by step."""
    return [list(step) for step in zip(*rows, strict=True)]


@every_dtype
@every_case
@every_backend
def test_every_shape_follows_the_reference_in_one_optimizer(
    backend: str, case: Case, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(1)
    params = [make(random, dtype) for make in SHAPES.values()]
    rows = [
        [as_param(grad, param) for grad in noise(param.shape, random, dtype)] for param in params
    ]
    follow(backend, case.options, params, transposed(rows))


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=["float64", "float32"])
@every_case
@every_backend
def test_every_kind_of_gradient_follows_the_reference(
    backend: str, case: Case, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(2)
    params = [normal(3, 7)(random, dtype) for _ in GRADIENTS]
    rows = [kind(torch.Size((3, 7)), random, dtype) for kind in GRADIENTS.values()]
    follow(backend, case.options, params, transposed(rows))


@pytest.mark.parametrize("backend", ["loop", "foreach"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_follows_the_reference_alone(backend: str, shape: str) -> None:
    random = torch.Generator().manual_seed(3)
    for case in (BY_NAME["plain"], BY_NAME["all at once"]):
        param = SHAPES[shape](random, torch.float32)
        grads = [as_param(grad, param) for grad in noise(param.shape, random, torch.float32)]
        follow(backend, case.options, [param], [[grad] for grad in grads])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_backend
def test_gradients_may_lie_in_memory_otherwise_than_their_parameters(
    backend: str, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(4)
    params = [make(random, dtype) for make in SHAPES.values()]
    for case in (BY_NAME["plain"], BY_NAME["all at once"]):
        rows = [noise(param.shape, random, dtype) for param in params]  # row-major
        follow(backend, case.options, params, transposed(rows))
        one = torch.tensor(0.5, dtype=dtype)
        rows = [[one.expand(param.shape)] * STEPS for param in params]  # every stride 0
        follow(backend, case.options, params, transposed(rows))


@pytest.mark.parametrize("name", ["plain", "coupled", "amsgrad", "rectify, clip", "all at once"])
@every_backend
def test_many_small_tensors_and_large_ones_follow_the_reference(backend: str, name: str) -> None:
    random = torch.Generator().manual_seed(5)
    # Below and above the size at which `choose` turns to the loop, and beyond a thread's share.
    sizes = [*range(1, 40), FOREACH_CPU_BELOW - 1, FOREACH_CPU_BELOW, 3 * FOREACH_CPU_BELOW + 1]
    params = [normal(size)(random, torch.float32) for size in sizes]
    rows = [noise(param.shape, random, torch.float32)[:7] for param in params]
    follow(backend, BY_NAME[name].options, params, transposed(rows))


@every_case
def test_the_bounds_are_far_below_one_step(case: Case) -> None:
    """Else parity would be an empty promise; in float64 they are 1e-13 to 1e-9 of a step."""
    random = torch.Generator().manual_seed(1)
    params = [normal(37)(random, torch.float64)]
    grads = noise(torch.Size((37,)), random, torch.float64)
    oracle = follow("loop", case.options, params, [[grad] for grad in grads])
    one_step = case.options.get("lr", 1e-3) or 1.0
    assert oracle.bound.param.max() < 1e-8 * one_step
    assert (oracle.bound.exp_avg_var <= 1e-11 * oracle.state.exp_avg_var).all()


@pytest.mark.parametrize("name", ["coupled", "amsgrad", "rectify", "rectify, clip", "all at once"])
@pytest.mark.parametrize("foreach", [True, False, None])
def test_dtypes_and_groups_mix_in_one_optimizer(name: str, foreach: bool | None) -> None:
    random = torch.Generator().manual_seed(6)
    options = BY_NAME[name].options
    settings: list[Mapping[str, Any]] = [{}, options, {**options, "lr": 0.02, "maximize": True}]
    groups = [[normal(9)(random, dtype).requires_grad_() for dtype in DTYPES] for _ in settings]
    optimizer = AdaBelief(
        [{"params": group, **of_group} for group, of_group in zip(groups, settings, strict=True)],
        foreach=foreach,
    )
    followed = [
        (Oracle([param]), param, of_group)
        for group, of_group in zip(groups, settings, strict=True)
        for param in group
    ]
    for _ in range(STEPS):
        for _, param, _ in followed:
            param.grad = normal(9)(random, param.dtype)
        optimizer.step()
        for oracle, param, options in followed:
            assert param.grad is not None
            oracle.expect([param.grad], [param], [optimizer.state[param]], options)


@pytest.mark.parametrize("name", ["plain", "rectify", "all at once"])
@pytest.mark.parametrize("foreach", [True, False, None])
def test_parameters_keep_their_own_count_of_steps(foreach: bool | None, name: str) -> None:
    """Some get gradients late, or not always, or never; t counts only the steps they took."""
    options = BY_NAME[name].options
    random = torch.Generator().manual_seed(7)
    params = [normal(5)(random, torch.float64).requires_grad_() for _ in range(5)]
    begins, every = (0, 0, 3, 5, 99), (1, 2, 1, 3, 1)
    oracles = [Oracle([param]) for param in params]
    optimizer = AdaBelief(params, foreach=foreach, **options)
    for t in range(14):
        before = [param.detach().clone() for param in params]
        for i, param in enumerate(params):
            has = t >= begins[i] and t % every[i] == 0
            param.grad = normal(5)(random, torch.float64) if has else None
        optimizer.step()
        for oracle, param, old in zip(oracles, params, before, strict=True):
            if param.grad is None:
                assert torch.equal(param, old)
            else:
                oracle.expect([param.grad], [param], [optimizer.state[param]], options)
    assert params[4] not in optimizer.state
    assert [optimizer.state[param]["step"].item() for param in params[:4]] == [14, 7, 11, 3]


@pytest.mark.parametrize("foreach", [True, False])
def test_gradients_may_have_a_dtype_of_their_own(foreach: bool) -> None:
    random = torch.Generator().manual_seed(8)
    for of_param, of_grad in (
        (torch.float32, torch.bfloat16),
        (torch.bfloat16, torch.float32),
        (torch.float64, torch.float32),
    ):
        params = [normal(5)(random, of_param).requires_grad_() for _ in range(3)]
        optimizer, oracle = AdaBelief(params, foreach=foreach), Oracle(params)
        for param in params[:2]:
            param.grad_dtype = of_grad
        for _ in range(STEPS):
            for param in params:
                own = of_param if param is params[2] else of_grad
                param.grad = normal(5)(random, own)
            optimizer.step()
            grads = [param.grad for param in params if param.grad is not None]
            oracle.expect(grads, params, [optimizer.state[param] for param in params], {})


@pytest.mark.parametrize("foreach", [True, False])
def test_lazily_conjugated_gradients_of_complex_parameters_are_taken(foreach: bool) -> None:
    random = torch.Generator().manual_seed(9)
    param = normal(5)(random, torch.complex128).requires_grad_()
    optimizer, oracle = AdaBelief([param], foreach=foreach), Oracle([param])
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (param.conj() * normal(5)(random, torch.complex128)).real.sum()
        torch.autograd.backward(loss)
        assert param.grad is not None
        assert param.grad.is_conj(), "autograd no longer makes such gradients; keep one by hand"
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], {})
