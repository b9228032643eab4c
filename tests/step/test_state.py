"""What the optimizer keeps for a parameter, and which path it takes with it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from adabelief import AdaBelief
from adabelief.step import differentiable, multi_tensor, single_tensor, sparse
from adabelief.step.paths import FOREACH_CPU_BELOW, choose
from adabelief.step.state import fill
from cases import BY_NAME, SHAPES, as_param, normal, with_gradient
from oracle import Oracle

all_paths = pytest.mark.parametrize("path", [False, True, None], ids=["loop", "foreach", "chosen"])


@all_paths
@pytest.mark.parametrize("amsgrad", [False, True])
def test_there_is_no_buffer_for_what_is_off(amsgrad: bool, path: bool | None) -> None:
    param = with_gradient(3)
    options: dict[str, Any] = {**BY_NAME["all at once"].options, "amsgrad": amsgrad}
    optimizer = AdaBelief([param], foreach=path, **options)
    optimizer.step()
    names = {"step", "exp_avg", "exp_avg_var"} | ({"max_exp_avg_var"} if amsgrad else set())
    assert set(optimizer.state[param]) == names


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("name", SHAPES)
def test_state_has_the_shape_and_layout_of_its_parameter(name: str, dtype: torch.dtype) -> None:
    param = SHAPES[name](torch.Generator().manual_seed(0), dtype).requires_grad_()
    param.grad = as_param(param.detach(), param)
    optimizer = AdaBelief([param], amsgrad=True)
    optimizer.step()
    expected = torch.zeros_like(param)  # of views with gaps: without the gaps
    for key in ("exp_avg", "exp_avg_var", "max_exp_avg_var"):
        kept = optimizer.state[param][key]
        assert kept.dtype == (torch.float32 if dtype is torch.bfloat16 else dtype)
        assert kept.shape == param.shape
        assert kept.stride() == expected.stride()
        assert not kept.requires_grad
        assert type(kept) is Tensor
    step = optimizer.state[param]["step"]
    assert (step.shape, step.dtype, step.device.type) == ((), torch.float32, "cpu")


def test_the_count_of_steps_does_not_depend_on_torchs_defaults() -> None:
    """In bfloat16 it would stop at 256: 256 + 1 rounds to 256."""
    param = with_gradient(3)
    optimizer = AdaBelief([param], lr=1e-6)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            for _ in range(300):
                optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        assert optimizer.state[param]["step"].dtype is torch.float32
        optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    assert optimizer.state[param]["step"].item() == 301


@all_paths
def test_amsgrad_may_be_switched_on_and_off_in_the_middle(path: bool | None) -> None:
    """Missing in the authors' package: KeyError (row 7). The maximum starts where s then is."""
    param = with_gradient(5, dtype=torch.float64)
    optimizer, oracle = AdaBelief([param], betas=(0.5, 0.6), foreach=path), Oracle([param])
    random = torch.Generator().manual_seed(3)
    for amsgrad in [False] * 3 + [True] * 4:
        optimizer.param_groups[0]["amsgrad"] = amsgrad
        param.grad = normal(5)(random, torch.float64)
        optimizer.step()
        options = {"betas": (0.5, 0.6), "amsgrad": amsgrad}
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)
    optimizer.param_groups[0]["amsgrad"] = False
    kept = optimizer.state[param]["max_exp_avg_var"].clone()
    optimizer.step()
    assert torch.equal(kept, optimizer.state[param]["max_exp_avg_var"])


@all_paths
def test_amsgrad_acts_under_rectification(path: bool | None) -> None:
    """In the authors' package it has no effect there (row 19)."""
    params = [with_gradient(5), with_gradient(5)]
    options: dict[str, Any] = {"rectify": True, "betas": (0.9, 0.9), "foreach": path}
    for param, amsgrad in zip(params, (False, True), strict=True):
        optimizer = AdaBelief([param], amsgrad=amsgrad, **options)
        for step in range(8):
            param.grad = torch.full((5,), 0.1 ** (step > 0))  # s is largest at the first step
            optimizer.step()
    assert bool((params[0] < params[1]).all())


@all_paths
@pytest.mark.parametrize("name", ["plain", "all at once"])
def test_a_complex_parameter_is_two_real_ones(name: str, path: bool | None) -> None:
    """The authors square the complex residual, so s is complex there (row 11)."""
    whole = with_gradient(5, dtype=torch.complex64)
    parts = torch.view_as_real(whole.detach()).clone().requires_grad_()
    assert whole.grad is not None
    parts.grad = torch.view_as_real(whole.grad).clone()
    optimizer = AdaBelief([whole, parts], foreach=path, **BY_NAME[name].options)
    for _ in range(8):
        optimizer.step()
        pairs = [(whole.detach(), parts.detach())]
        pairs += [
            (optimizer.state[whole][key], optimizer.state[parts][key])
            for key in optimizer.state[whole]
            if key != "step"
        ]
        for one, two in pairs:
            assert torch.equal(torch.view_as_real(one), two)


@all_paths
def test_a_model_may_change_its_memory_layout_after_some_steps(path: bool | None) -> None:
    """torch's fused AdamW is silently wrong then: it takes memory order for element order."""
    param = SHAPES["channels last"](torch.Generator().manual_seed(0), torch.float32)
    param = param.contiguous().requires_grad_()
    optimizer, oracle = AdaBelief([param], amsgrad=True, foreach=path), Oracle([param])
    random = torch.Generator().manual_seed(1)
    for step in range(6):
        if step == 3:
            param.data = param.data.contiguous(memory_format=torch.channels_last)
        param.grad = normal(*param.shape)(random, torch.float32)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], {"amsgrad": True})


@all_paths
def test_a_model_may_be_cast_to_half_precision_after_some_steps(path: bool | None) -> None:
    param = with_gradient(9)
    optimizer = AdaBelief([param], foreach=path)
    optimizer.step()
    param.grad = None
    param.data = param.data.to(torch.bfloat16)
    param.grad = torch.ones_like(param)
    optimizer.step()
    assert param.dtype is torch.bfloat16
    assert optimizer.state[param]["exp_avg"].dtype is torch.float32
    assert bool(param.isfinite().all())


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize(
    ("first", "then"), [(torch.float32, torch.float64), (torch.float64, torch.float32)]
)
@all_paths
def test_a_model_may_be_cast_after_some_steps_and_its_state_goes_with_it(
    path: bool | None, first: torch.dtype, then: torch.dtype, capturable: bool
) -> None:
    param = with_gradient(5, dtype=first)
    optimizer = AdaBelief([param], amsgrad=True, foreach=path, capturable=capturable)
    optimizer.step()
    param.data = param.data.to(then)
    fresh = AdaBelief([param.detach().clone()], amsgrad=True, foreach=path, capturable=capturable)
    fresh.load_state_dict(optimizer.state_dict())  # casts to the dtype of the computation
    for one in (optimizer, fresh):
        moved = one.param_groups[0]["params"][0]
        moved.grad = torch.ones(5, dtype=then)
        one.step()
        assert {value.dtype for name, value in one.state[moved].items() if name != "step"} == {then}
    assert torch.equal(param, fresh.param_groups[0]["params"][0])


def test_the_state_goes_to_the_device_of_a_parameter_that_was_moved() -> None:
    """Without a second device to move a model to, the function that `step` calls for it."""
    with FakeTensorMode():
        here, there = torch.empty(3), torch.empty(3, device="cuda")
        state: dict[str, Tensor] = {}
        group = AdaBelief([here], amsgrad=True).param_groups[0]
        fill(state, here, group)
        fill(state, there, group)
        devices = {name: value.device.type for name, value in state.items()}
    assert devices.pop("step") == "cpu"
    assert set(devices.values()) == {"cuda"}


def test_small_cpu_tensors_go_to_foreach_and_large_ones_to_the_loop() -> None:
    small, large = torch.empty(FOREACH_CPU_BELOW - 1), torch.empty(FOREACH_CPU_BELOW)
    assert chosen(small, None) is multi_tensor
    assert chosen(nn.Parameter(small), None) is multi_tensor
    assert chosen(large, None) is single_tensor
    for tensor, wish in itertools.product((small, large), (True, False)):
        assert chosen(tensor, wish) is (multi_tensor if wish else single_tensor)


@pytest.mark.parametrize("wish", [None, True, False])
def test_what_a_gradient_or_an_option_needs_comes_before_the_wish(wish: bool | None) -> None:
    small, large = torch.empty(3), torch.empty(FOREACH_CPU_BELOW)
    assert chosen(small.to_sparse(), wish) is sparse
    assert chosen(large, wish, traced=True) is (multi_tensor if wish else differentiable)
    assert chosen(small, wish, traced=True) is (differentiable if wish is False else multi_tensor)
    for tensor in (small, large):
        assert chosen(tensor, wish, traced=True, differentiable=True) is differentiable


def chosen(
    tensor: Tensor, wish: bool | None, traced: bool = False, differentiable: bool = False
) -> object:
    return choose(tensor, tensor, wish, traced=traced, differentiable=differentiable)


def test_tensor_subclasses_and_other_devices_go_to_the_loop_unless_told() -> None:
    class Special(Tensor):
        pass

    special = torch.zeros(3).as_subclass(Special)
    assert chosen(special, None) is single_tensor
    assert chosen(special, True) is multi_tensor
    assert chosen(torch.empty(3, device="meta"), None) is single_tensor


@pytest.mark.parametrize(("wish", "called"), [(True, "multi_tensor"), (False, "single_tensor")])
def test_the_optimizer_takes_the_path_it_was_told(
    wish: bool, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for module in (multi_tensor, single_tensor):
        monkeypatch.setattr(module, "update", lambda *_, at=module: calls.append(at.__name__))
    optimizer = AdaBelief([with_gradient(3), with_gradient(FOREACH_CPU_BELOW)], foreach=wish)
    optimizer.step()
    assert calls == [f"adabelief.step.{called}"]


def test_foreach_updates_all_equal_tensors_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def count(params: list[Tensor], *rest: Any) -> None:
        sizes.append(len(params))

    monkeypatch.setattr(multi_tensor, "update", count)
    params = [with_gradient(3, seed=seed) for seed in range(9)]
    optimizer = AdaBelief([*params, with_gradient(3, dtype=torch.float64)], foreach=True)
    optimizer.step()
    assert sizes == [9, 1]
