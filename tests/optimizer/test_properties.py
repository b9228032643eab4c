"""The laws of the algorithm, for gradients that hypothesis chooses."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adabelief import AdaBelief
from cases import BY_NAME, CASES, Case, normal
from oracle import DEFAULTS

both_paths = pytest.mark.parametrize("foreach", [False, True], ids=["loop", "foreach"])
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
OPTIONS = st.sampled_from([case.options for case in CASES])

Trajectory = list[list[Tensor]]  # of each step: parameter and state, in a fixed order


@st.composite
def gradients(draw: st.DrawFn, size: int = 19) -> list[Tensor]:
    """Four to eight gradients: random ones, each with elements that hypothesis put in."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    steps = draw(st.integers(4, 8))
    grads = [normal(size)(random, torch.float64) for _ in range(steps)]
    plain = st.floats(-100, 100, allow_subnormal=False, width=32)
    for grad in grads:
        for value in draw(st.lists(plain, max_size=3)):
            grad[draw(st.integers(0, size - 1))] = value
    return grads


def trajectory(
    param: Tensor, grads: Sequence[Tensor], options: Mapping[str, Any], foreach: bool
) -> Trajectory:
    param = param.clone().requires_grad_()
    optimizer = AdaBelief([param], foreach=foreach, **options)
    seen = []
    for grad in grads:
        param.grad = grad.to(param.dtype)
        optimizer.step()
        state = optimizer.state[param]
        keys = [key for key in ("exp_avg", "exp_avg_var", "max_exp_avg_var") if key in state]
        seen.append([param.detach().clone(), *[state[key].clone() for key in keys]])
    return seen


def assert_same(one: Trajectory, two: Trajectory) -> None:
    """Bit for bit, NaN included."""
    for left, right in zip(one, two, strict=True):
        for a, b in zip(left, right, strict=True):
            assert torch.equal(a.nan_to_num(nan=12345.0), b.nan_to_num(nan=12345.0))


def mapped(one: Trajectory, *functions: Callable[[Tensor], Tensor]) -> Trajectory:
    return [
        [function(array) for function, array in zip(functions, step, strict=False)] for step in one
    ]


START = normal(19)(torch.Generator().manual_seed(0), torch.float64)


@both_paths
@both_dtypes
@given(grads=gradients(), power=st.integers(-12, 12), amsgrad=st.booleans(), rectify=st.booleans())
def test_without_eps_the_steps_do_not_depend_on_the_scale_of_gradients(
    dtype: torch.dtype,
    foreach: bool,
    grads: list[Tensor],
    power: int,
    amsgrad: bool,
    rectify: bool,
) -> None:
    """Exactly so for powers of two; rectified after m̂ alone, which does scale (β₂ = 0.9: t ≥ 6)."""
    options: dict[str, Any] = {"eps": 0.0, "amsgrad": amsgrad, "weight_decay": 0.1}
    if rectify:
        options |= {"rectify": True, "betas": (0.9, 0.99999), "lr": 0.0}
    scale = 2.0**power
    # 0/0 has no scale, and squares below float32's normal numbers are not scaled exactly.
    grads = [grad.to(dtype) + (grad.abs() < 1e-12) for grad in grads]
    one = trajectory(START.to(dtype), grads, options, foreach)
    two = trajectory(START.to(dtype), [scale * grad for grad in grads], options, foreach)
    kept = [lambda x: x, lambda m: m * scale, lambda s: s * scale**2, lambda s: s * scale**2]
    assert_same(mapped(one, *kept), two)


@both_paths
@both_dtypes
@given(grads=gradients(), options=OPTIONS)
def test_minus_the_gradients_from_minus_the_start_is_minus_the_path(
    dtype: torch.dtype, foreach: bool, grads: list[Tensor], options: Mapping[str, Any]
) -> None:
    one = trajectory(START.to(dtype), grads, options, foreach)
    two = trajectory(-START.to(dtype), [-grad for grad in grads], options, foreach)
    assert_same(mapped(one, torch.neg, torch.neg, torch.clone, torch.clone), two)


@both_paths
@both_dtypes
@given(grads=gradients(), options=OPTIONS, at=st.integers(0, 19))
def test_splitting_a_tensor_changes_nothing(
    dtype: torch.dtype, foreach: bool, grads: list[Tensor], options: Mapping[str, Any], at: int
) -> None:
    """What sharding relies on."""
    whole = trajectory(START.to(dtype), grads, options, foreach)
    left = trajectory(START[:at].to(dtype), [grad[:at] for grad in grads], options, foreach)
    right = trajectory(START[at:].to(dtype), [grad[at:] for grad in grads], options, foreach)
    joined = [
        [torch.cat(parts) for parts in zip(*halves, strict=True)]
        for halves in zip(left, right, strict=True)
    ]
    assert_same(whole, joined)


@both_paths
@both_dtypes
@given(grads=gradients(), options=OPTIONS, seed=st.integers(0, 1000))
def test_permuting_the_elements_permutes_the_path(
    dtype: torch.dtype, foreach: bool, grads: list[Tensor], options: Mapping[str, Any], seed: int
) -> None:
    order = torch.randperm(19, generator=torch.Generator().manual_seed(seed))
    one = trajectory(START.to(dtype), grads, options, foreach)
    two = trajectory(START[order].to(dtype), [grad[order] for grad in grads], options, foreach)
    assert_same(mapped(one, *[lambda array: array[order]] * 4), two)


OFF = {name: off for name, off in DEFAULTS.items() if name not in {"lr", "betas", "eps"}}


@both_paths
@given(grads=gradients())
def test_options_that_are_off_change_nothing(foreach: bool, grads: list[Tensor]) -> None:
    assert_same(trajectory(START, grads, {}, foreach), trajectory(START, grads, OFF, foreach))


@both_paths
@given(grads=gradients(), options=OPTIONS)
def test_without_decay_its_kind_does_not_matter(
    foreach: bool, grads: list[Tensor], options: Mapping[str, Any]
) -> None:
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"decoupled_weight_decay": False},
        {"fixed_decay": True},
    )
    rest = {k: v for k, v in options.items() if k not in ("decoupled_weight_decay", "fixed_decay")}
    one, *others = (
        trajectory(START, grads, {**rest, "weight_decay": 0.0, **kind}, foreach) for kind in kinds
    )
    for other in others:
        assert_same(one, other)


@both_paths
@both_dtypes
@given(grads=gradients(), options=OPTIONS)
def test_maximizing_g_is_minimizing_minus_g(
    dtype: torch.dtype, foreach: bool, grads: list[Tensor], options: Mapping[str, Any]
) -> None:
    rest = {**options, "maximize": False}
    up = trajectory(START.to(dtype), grads, {**options, "maximize": True}, foreach)
    down = trajectory(START.to(dtype), [-grad for grad in grads], rest, foreach)
    assert_same(up, down)


@both_paths
@both_dtypes
@given(
    grads=gradients(),
    cap=st.floats(1e-3, 10),
    lr=st.floats(1e-4, 1),
    amsgrad=st.booleans(),
    rectify=st.booleans(),
)
def test_clip_update_bounds_every_move(
    dtype: torch.dtype,
    foreach: bool,
    grads: list[Tensor],
    cap: float,
    lr: float,
    amsgrad: bool,
    rectify: bool,
) -> None:
    options = {"clip_update": cap, "lr": lr, "amsgrad": amsgrad, "rectify": rectify, "eps": 1e-16}
    seen = trajectory(START.to(dtype), [50 * grads[0]] * 8 + grads, options, foreach)
    before = START.to(dtype)
    for param, *_ in seen:
        # α, the cap and their product are rounded, then the new parameter.
        u = torch.finfo(dtype).eps / 2
        allowed = lr * cap * (1 + 4 * u) + u * param.double().abs()
        assert bool(((param.double() - before.double()).abs() <= allowed).all())
        before = param


def resumed_by_state_dict(optimizer: AdaBelief, param: Tensor) -> tuple[AdaBelief, Tensor]:
    # Another optimizer, built with other options: those of the checkpoint must win.
    twin = param.detach().clone().requires_grad_()
    fresh = AdaBelief([twin], lr=7.0, betas=(0.3, 0.4), eps=5.0)
    fresh.load_state_dict(optimizer.state_dict())
    return fresh, twin


def resumed_from_a_file(optimizer: AdaBelief, param: Tensor) -> tuple[AdaBelief, Tensor]:
    file = io.BytesIO()
    torch.save({"param": param.detach(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    twin = loaded["param"].requires_grad_()
    fresh = AdaBelief([twin])
    fresh.load_state_dict(loaded["optimizer"])
    return fresh, twin


def saved_whole(optimizer: AdaBelief, param: Tensor) -> tuple[AdaBelief, Tensor]:
    file = io.BytesIO()
    torch.save((optimizer, param), file)
    file.seek(0)
    fresh, twin = torch.load(file, weights_only=False)
    return fresh, twin


def pickled(optimizer: AdaBelief, param: Tensor) -> tuple[AdaBelief, Tensor]:
    fresh, twin = pickle.loads(pickle.dumps((optimizer, param)))
    return fresh, twin


def deep_copied(optimizer: AdaBelief, param: Tensor) -> tuple[AdaBelief, Tensor]:
    fresh, twin = copy.deepcopy((optimizer, param))
    return fresh, twin


RESUME = (resumed_by_state_dict, resumed_from_a_file, saved_whole, pickled, deep_copied)


HALF_AND_COMPLEX = (torch.bfloat16, torch.float16, torch.complex64)
CASES_TO_RESUME = [(case, torch.float32) for case in CASES] + [
    (BY_NAME[name], dtype) for name in ("plain", "all at once") for dtype in HALF_AND_COMPLEX
]


@pytest.mark.parametrize("resume", RESUME, ids=lambda resume: resume.__name__)
@pytest.mark.parametrize(
    ("case", "dtype"), CASES_TO_RESUME, ids=lambda x: getattr(x, "name", str(x)[6:])
)
def test_stopping_and_resuming_at_any_step_changes_nothing(
    case: Case, dtype: torch.dtype, resume: Callable[..., tuple[AdaBelief, Tensor]]
) -> None:
    """Bit for bit, with every option, also for half precision, whose state is float32."""
    random = torch.Generator().manual_seed(3)
    param = normal(6)(random, dtype).requires_grad_()
    optimizer = AdaBelief([param], **case.options)
    for _ in range(7):
        copied, twin = resume(optimizer, param)
        assert set(copied.param_groups[0]) == set(optimizer.param_groups[0])
        for moved in (copied.state_dict()["param_groups"], optimizer.state_dict()["param_groups"]):
            moved[0].pop("foreach")
        grad = normal(6)(random, dtype)
        for one, of_one in ((optimizer, param), (copied, twin)):
            of_one.grad = grad.clone()
            one.step()
        assert torch.equal(param, twin)
        assert twin.data_ptr() != param.data_ptr()
        assert set(optimizer.state[param]) == set(copied.state[twin])
        for key, value in optimizer.state[param].items():
            other = copied.state[twin][key]
            assert torch.equal(value, other)
            assert value.dtype == other.dtype
            assert value.data_ptr() != other.data_ptr()


@both_paths
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.complex64])
@every_case
def test_gradients_are_read_only_and_parameters_stay_where_they_are(
    case: Case, dtype: torch.dtype, foreach: bool
) -> None:
    random = torch.Generator().manual_seed(4)
    flat = normal(8)(random, dtype)
    params = [flat[:3].requires_grad_(), flat[3:].view(5).detach().requires_grad_()]
    optimizer = AdaBelief(params, foreach=foreach, **case.options)
    for _ in range(3):
        grads = [normal(*param.shape)(random, dtype) for param in params]
        kept = [grad.clone() for grad in grads]
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        places = [
            (param.data_ptr(), grad.data_ptr()) for param, grad in zip(params, grads, strict=True)
        ]
        versions = [param._version for param in params]
        grad_versions = [grad._version for grad in grads]
        optimizer.step()
        for param, grad, same in zip(params, grads, kept, strict=True):
            assert param.grad is grad
            assert torch.equal(grad, same)
        assert [grad._version for grad in grads] == grad_versions
        assert places == [(p.data_ptr(), g.data_ptr()) for p, g in zip(params, grads, strict=True)]
        # A stale backward must be able to notice; and what shares the memory has moved along.
        assert all(p._version > old for p, old in zip(params, versions, strict=True))
        assert torch.equal(torch.cat([param.detach() for param in params]), flat.detach())
