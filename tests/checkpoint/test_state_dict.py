"""What is saved comes back, with every option still acting; the authors' package loses many."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief, Hyperparameters
from cases import CASES, STEPS, Case, normal
from oracle import Oracle

Resumed = tuple[AdaBelief, Tensor]


def by_state_dict(optimizer: AdaBelief, param: Tensor) -> Resumed:
    twin = param.detach().clone().requires_grad_()
    fresh = AdaBelief([twin])
    fresh.load_state_dict(optimizer.state_dict())
    return fresh, twin


def by_pickle(optimizer: AdaBelief, param: Tensor) -> Resumed:
    fresh, twin = pickle.loads(pickle.dumps((optimizer, param)))
    return fresh, twin


def by_deepcopy(optimizer: AdaBelief, param: Tensor) -> Resumed:
    fresh, twin = copy.deepcopy((optimizer, param))
    return fresh, twin


@pytest.mark.parametrize("resume", [by_state_dict, by_pickle, by_deepcopy])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_option_still_acts_after_a_round_trip(
    case: Case, resume: Callable[[AdaBelief, Tensor], Resumed]
) -> None:
    """Rows 3, 4, 5: AttributeError, or flags silently back at their defaults."""
    random = torch.Generator().manual_seed(0)
    param = normal(5)(random, torch.float64).requires_grad_()
    oracle, optimizer = Oracle([param]), AdaBelief([param], **case.options)
    for step in range(STEPS):
        if step in (1, 6):
            optimizer, param = resume(optimizer, param)
        param.grad = normal(5)(random, torch.float64)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], case.options)


def stepped(dtype: torch.dtype = torch.float32, steps: int = 3, **options: Any) -> Resumed:
    random = torch.Generator().manual_seed(1)
    param = normal(5)(random, dtype).requires_grad_()
    optimizer = AdaBelief([param], **options)
    for _ in range(steps):
        param.grad = normal(5)(random, dtype)
        optimizer.step()
    return optimizer, param


def test_every_option_is_in_the_checkpoint() -> None:
    optimizer, _ = stepped()
    saved = optimizer.state_dict()["param_groups"][0]
    assert set(saved) == {field.name for field in fields(Hyperparameters)} | {"params"}


def test_every_option_of_a_copy_is_also_the_default_of_new_groups() -> None:
    optimizer, _ = stepped(rectify=True, eps=1e-3, decoupled_weight_decay=False)
    for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        copied.add_param_group({"params": [torch.ones(2, requires_grad=True)]})
        group = copied.param_groups[1]
        assert (group["rectify"], group["eps"]) == (True, 1e-3)
        assert group["decoupled_weight_decay"] is False


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_state_of_half_precision_is_not_rounded_by_loading(dtype: torch.dtype) -> None:
    """Row 9: s underflows to 0 in fp16 and the next step is infinite."""
    random = torch.Generator().manual_seed(2)
    param = normal(5)(random, dtype).requires_grad_()
    optimizer = AdaBelief([param], amsgrad=True)
    for _ in range(3):
        param.grad = normal(5)(random, dtype) * 1e-3
        optimizer.step()
    assert (
        not optimizer.state[param]["exp_avg_var"]
        .to(dtype)
        .float()
        .equal(optimizer.state[param]["exp_avg_var"])
    )
    fresh, twin = by_state_dict(optimizer, param)
    for key, value in optimizer.state[param].items():
        assert fresh.state[twin][key].dtype is torch.float32
        assert torch.equal(fresh.state[twin][key], value)


def test_loaded_tensors_are_not_shared_with_the_callers_dict() -> None:
    optimizer, param = stepped(amsgrad=True)
    saved = copy.deepcopy(optimizer.state_dict())
    given = copy.deepcopy(saved)
    given["param_groups"][0]["lr"] = torch.tensor(0.1)
    fresh = AdaBelief([param])
    fresh.load_state_dict(given)
    for key, value in fresh.state[param].items():
        assert value.data_ptr() != given["state"][0][key].data_ptr()
    fresh.step()
    fresh.param_groups[0]["lr"].zero_()
    assert given["param_groups"][0]["lr"].item() == pytest.approx(0.1)
    for key, value in saved["state"][0].items():
        assert torch.equal(given["state"][0][key], value)


def test_loading_the_own_state_dict_changes_nothing() -> None:
    optimizer, param = stepped(rectify=True, amsgrad=True)
    before = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(optimizer.state_dict())
    after = optimizer.state_dict()
    assert before["param_groups"] == after["param_groups"]
    for key, value in before["state"][0].items():
        assert torch.equal(value, after["state"][0][key])
    assert optimizer.param_groups[0]["params"] == [param]


def test_state_is_converted_to_the_dtype_of_the_computation() -> None:
    optimizer, _ = stepped(torch.float64)
    for dtype, kept in ((torch.float32, torch.float32), (torch.float16, torch.float32)):
        param = torch.zeros(5, dtype=dtype, requires_grad=True)
        fresh = AdaBelief([param])
        fresh.load_state_dict(optimizer.state_dict())
        assert fresh.state[param]["exp_avg"].dtype is kept
        assert fresh.state[param]["step"].dtype is torch.float32


def test_a_step_count_that_is_an_int_is_taken() -> None:
    """As in the checkpoints of the authors' package and of timm."""
    optimizer, param = stepped()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = 3
    fresh, twin = AdaBelief([param.detach().clone().requires_grad_()]), param
    twin = fresh.param_groups[0]["params"][0]
    fresh.load_state_dict(saved)
    optimizer.state[param]["step"] = torch.tensor(3.0)
    for one, of_one in ((optimizer, param), (fresh, twin)):
        of_one.grad = torch.ones(5)
        one.step()
    assert torch.equal(param, twin)
    assert fresh.state[twin]["step"].item() == 4
    assert fresh.state[twin]["step"].dtype is torch.float32


def test_a_pickle_with_an_int_step_is_taken() -> None:
    optimizer, param = stepped()
    optimizer.state[param]["step"] = 3
    fresh, twin = by_pickle(optimizer, param)
    twin.grad = torch.ones(5)
    fresh.step()
    assert fresh.state[twin]["step"].item() == 4


@pytest.mark.parametrize("missing", [field.name for field in fields(Hyperparameters)])
def test_an_older_checkpoint_without_an_option_gets_its_default(missing: str) -> None:
    optimizer, param = stepped()
    saved = optimizer.state_dict()
    del saved["param_groups"][0][missing]
    fresh = AdaBelief([param])
    fresh.load_state_dict(saved)
    default = next(field.default for field in fields(Hyperparameters) if field.name == missing)
    assert fresh.param_groups[0][missing] == default
    fresh.step()


@pytest.mark.parametrize("missing", ["clip_update", "foreach", "maximize"])
def test_an_older_pickle_without_an_option_gets_its_default_also_for_new_groups(
    missing: str,
) -> None:
    optimizer, _ = stepped()
    del optimizer.param_groups[0][missing]
    del optimizer.defaults[missing]
    loaded = pickle.loads(pickle.dumps(optimizer))
    loaded.add_param_group({"params": [torch.ones(2, requires_grad=True)]})
    default = next(field.default for field in fields(Hyperparameters) if field.name == missing)
    assert [group[missing] for group in loaded.param_groups] == [default, default]
    loaded.step()


def test_a_checkpoint_without_the_maximum_can_go_on_with_amsgrad() -> None:
    optimizer, param = stepped(torch.float64)
    saved = optimizer.state_dict()
    saved["param_groups"][0]["amsgrad"] = True
    fresh = AdaBelief([param])
    fresh.load_state_dict(saved)
    fresh.step()
    state = fresh.state[param]
    assert torch.equal(state["max_exp_avg_var"], state["exp_avg_var"])


def test_a_checkpoint_from_before_the_first_step_loads() -> None:
    param = torch.ones(3, requires_grad=True)
    fresh = AdaBelief([param])
    fresh.load_state_dict(AdaBelief([torch.ones(3)], lr=0.5).state_dict())
    assert fresh.param_groups[0]["lr"] == 0.5
    assert not fresh.state
    param.grad = torch.ones(3)
    fresh.step()


def test_parameters_without_state_stay_without() -> None:
    params = [torch.ones(2, requires_grad=True) for _ in range(3)]
    params[1].grad = torch.ones(2)
    optimizer = AdaBelief(params)
    optimizer.step()
    fresh = AdaBelief(params)
    fresh.load_state_dict(optimizer.state_dict())
    assert list(fresh.state) == [params[1]]


def test_users_hooks_of_loading_still_work() -> None:
    optimizer, param = stepped(torch.bfloat16)
    saved = optimizer.state_dict()
    fresh, order = AdaBelief([param]), []

    def rename(_: torch.optim.Optimizer, given: dict[str, Any]) -> dict[str, Any]:
        order.append("pre")
        return {"state": given["mine"], "param_groups": given["groups"]}

    def after(loaded: torch.optim.Optimizer) -> None:
        order.append("post")
        # What a hook sees and changes is what stays.
        kept = loaded.state[param]
        assert kept["exp_avg"].dtype is torch.float32
        assert torch.equal(kept["exp_avg"], saved["state"][0]["exp_avg"])
        kept["exp_avg"] = torch.zeros(5)

    fresh.register_load_state_dict_pre_hook(rename)
    fresh.register_load_state_dict_post_hook(after)
    for _ in range(2):
        fresh.load_state_dict({"mine": saved["state"], "groups": saved["param_groups"]})
        assert not fresh.state[param]["exp_avg"].any()
        assert torch.equal(fresh.state[param]["exp_avg_var"], saved["state"][0]["exp_avg_var"])
    assert order == ["pre", "post"] * 2
    assert len(fresh._optimizer_load_state_dict_pre_hooks) == 1
    assert len(fresh._optimizer_load_state_dict_post_hooks) == 1


def test_a_complex_parameter_keeps_complex_state() -> None:
    optimizer, param = stepped(torch.complex128, amsgrad=True)
    fresh, twin = by_state_dict(optimizer, param)
    for key in ("exp_avg", "exp_avg_var", "max_exp_avg_var"):
        assert fresh.state[twin][key].dtype is torch.complex128
        assert torch.equal(fresh.state[twin][key], optimizer.state[param][key])
