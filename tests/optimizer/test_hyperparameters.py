"""Every refusal: its type, its exact text, and that nothing has changed afterwards."""

from __future__ import annotations

import copy
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief, Hyperparameters

NAN, INF = math.nan, math.inf
BETA1_ZERO = (
    "betas[0] must be in (0, 1), got 0: the moment would equal the gradient, so the belief "
    "(g - m)² would be 0 for ever and the step would explode; take betas[0]=0.01 or more"
)
FIXED_COUPLED = (
    "fixed_decay=True needs decoupled_weight_decay=True, got False: "
    "a coupled decay is part of the gradient, which lr always scales"
)
COUPLED: dict[str, Any] = {"fixed_decay": True, "decoupled_weight_decay": False}

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"lr": -1e-9}, ValueError, "lr must be in [0, inf), got -1e-09"),
    ({"lr": NAN}, ValueError, "lr must be in [0, inf), got nan"),
    ({"lr": INF}, ValueError, "lr must be in [0, inf), got inf"),
    ({"lr": "1e-3"}, TypeError, "lr must be a number in [0, inf), got '1e-3'"),
    ({"lr": None}, TypeError, "lr must be a number in [0, inf), got None"),
    ({"lr": True}, TypeError, "lr must be a number in [0, inf), got True"),
    ({"lr": 1j}, TypeError, "lr must be a number in [0, inf), got 1j"),
    ({"lr": torch.tensor(-1.0)}, ValueError, "lr must be in [0, inf), got -1.0"),
    ({"lr": torch.tensor([NAN])}, ValueError, "lr must be in [0, inf), got nan"),
    ({"lr": torch.tensor(True)}, TypeError, "lr must be a number in [0, inf), got True"),
    ({"lr": torch.ones(2)}, ValueError,
     "Tensor lr must be 1-element, got shape (2,)"),
    ({"lr": torch.ones(0)}, ValueError,
     "Tensor lr must be 1-element, got shape (0,)"),
    ({"betas": 0.9}, TypeError, "betas must be a pair of numbers, got 0.9"),
    ({"betas": (0.9,)}, TypeError, "betas must be a pair of numbers, got (0.9,)"),
    ({"betas": (0.9, 0.99, 0.999)}, TypeError,
     "betas must be a pair of numbers, got (0.9, 0.99, 0.999)"),
    ({"betas": None}, TypeError, "betas must be a pair of numbers, got None"),
    ({"betas": "ab"}, TypeError, "betas must be a pair of numbers, got 'ab'"),
    ({"betas": (0, 0.999)}, ValueError, BETA1_ZERO),
    ({"betas": (0.0, 0.999)}, ValueError, BETA1_ZERO),
    ({"betas": (-0.1, 0.999)}, ValueError, "betas[0] must be in (0, 1), got -0.1"),
    ({"betas": (1.0, 0.999)}, ValueError, "betas[0] must be in (0, 1), got 1.0"),
    ({"betas": (NAN, 0.999)}, ValueError, "betas[0] must be in (0, 1), got nan"),
    ({"betas": (True, 0.999)}, TypeError, "betas[0] must be a number in (0, 1), got True"),
    ({"betas": (False, 0.999)}, TypeError, "betas[0] must be a number in (0, 1), got False"),
    ({"betas": (np.zeros(2), 0.999)}, TypeError,
     "betas[0] must be a number in (0, 1), got array([0., 0.])"),
    ({"betas": ("0.9", 0.999)}, TypeError, "betas[0] must be a number in (0, 1), got '0.9'"),
    ({"betas": (0.9, 1.0)}, ValueError, "betas[1] must be in [0, 1), got 1.0"),
    ({"betas": (0.9, 1.2)}, ValueError, "betas[1] must be in [0, 1), got 1.2"),
    ({"betas": (0.9, -0.1)}, ValueError, "betas[1] must be in [0, 1), got -0.1"),
    ({"betas": (0.9, NAN)}, ValueError, "betas[1] must be in [0, 1), got nan"),
    ({"betas": (0.9, INF)}, ValueError, "betas[1] must be in [0, 1), got inf"),
    ({"betas": [0.9, None]}, TypeError, "betas[1] must be a number in [0, 1), got None"),
    ({"betas": (0.9, False)}, TypeError, "betas[1] must be a number in [0, 1), got False"),
    ({"eps": -1e-16}, ValueError, "eps must be in [0, inf), got -1e-16"),
    ({"eps": NAN}, ValueError, "eps must be in [0, inf), got nan"),
    ({"eps": INF}, ValueError, "eps must be in [0, inf), got inf"),
    ({"eps": "small"}, TypeError, "eps must be a number in [0, inf), got 'small'"),
    ({"eps": None}, TypeError, "eps must be a number in [0, inf), got None"),
    ({"eps": False}, TypeError, "eps must be a number in [0, inf), got False"),
    ({"weight_decay": -0.1}, ValueError, "weight_decay must be in [0, inf), got -0.1"),
    ({"weight_decay": NAN}, ValueError, "weight_decay must be in [0, inf), got nan"),
    ({"weight_decay": INF}, ValueError, "weight_decay must be in [0, inf), got inf"),
    ({"weight_decay": None}, TypeError, "weight_decay must be a number in [0, inf), got None"),
    ({"weight_decay": True}, TypeError, "weight_decay must be a number in [0, inf), got True"),
    ({"weight_decay": 1.5, "fixed_decay": True}, ValueError,
     "weight_decay must be in [0, 1], got 1.5"),
    ({"weight_decay": -0.5, "fixed_decay": True}, ValueError,
     "weight_decay must be in [0, 1], got -0.5"),
    (COUPLED, ValueError, FIXED_COUPLED),
    ({"clip_update": 0}, ValueError, "clip_update must be in (0, inf), got 0"),
    ({"clip_update": -1.0}, ValueError, "clip_update must be in (0, inf), got -1.0"),
    ({"clip_update": NAN}, ValueError, "clip_update must be in (0, inf), got nan"),
    ({"clip_update": INF}, ValueError, "clip_update must be in (0, inf), got inf"),
    ({"clip_update": "1"}, TypeError, "clip_update must be a number in (0, inf), got '1'"),
    ({"clip_update": True}, TypeError, "clip_update must be a number in (0, inf), got True"),
    ({"decoupled_weight_decay": 1}, TypeError,
     "decoupled_weight_decay must be True or False, got 1"),
    ({"fixed_decay": "no"}, TypeError, "fixed_decay must be True or False, got 'no'"),
    ({"amsgrad": None}, TypeError, "amsgrad must be True or False, got None"),
    ({"rectify": 0}, TypeError, "rectify must be True or False, got 0"),
    ({"bias_correction": 1.0}, TypeError, "bias_correction must be True or False, got 1.0"),
    ({"maximize": "False"}, TypeError, "maximize must be True or False, got 'False'"),
    ({"foreach": 1}, TypeError, "foreach must be True, False or None, got 1"),
]  # fmt: skip

every_refusal = pytest.mark.parametrize(
    ("keywords", "error", "text"), REFUSED, ids=lambda x: str(x)[:40] if isinstance(x, dict) else ""
)

ACCEPTED: list[dict[str, Any]] = [
    {"lr": 0},
    {"lr": torch.tensor(0.1)},
    {"lr": torch.tensor([1])},
    {"lr": np.float32(0.5)},
    {"lr": Fraction(1, 10)},
    {"betas": [1e-9, 0]},
    {"betas": (1 - 2**-53, 1 - 2**-53)},
    {"betas": (np.float64(0.9), np.float32(0.99))},
    {"eps": 0},
    {"eps": np.float32(1e-8), "weight_decay": np.float64(0.1), "clip_update": np.float32(2)},
    {"eps": Fraction(1, 10**8), "weight_decay": Fraction(1, 10), "clip_update": Fraction(3, 2)},
    {"eps": 1, "weight_decay": 1, "clip_update": 1},
    {"weight_decay": 5.0},
    {"weight_decay": 5.0, "decoupled_weight_decay": False},
    {"weight_decay": 1, "fixed_decay": True},
    {"weight_decay": 0, "fixed_decay": True},
    {"clip_update": 1e-300},
    {"foreach": None},
]


def parameter(*size: int) -> Tensor:
    return torch.ones(*size, requires_grad=True)


def stepped() -> tuple[AdaBelief, Tensor]:
    param = parameter(3)
    optimizer = AdaBelief([param], lr=0.1, amsgrad=True)
    param.grad = torch.tensor([1.0, -2.0, 3.0])
    optimizer.step()
    return optimizer, param


def assert_unchanged(optimizer: AdaBelief, before: dict[str, Any]) -> None:
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert set(after["state"]) == set(before["state"])
    for index, state in before["state"].items():
        assert set(after["state"][index]) == set(state)
        for key, value in state.items():
            assert torch.equal(after["state"][index][key], value)
    assert not optimizer._optimizer_load_state_dict_pre_hooks
    assert not optimizer._optimizer_load_state_dict_post_hooks


def refusal(error: type[Exception]) -> pytest.RaisesExc[Exception]:
    return pytest.RaisesExc(error, check=lambda raised: type(raised) is error)


@every_refusal
def test_the_dataclass_refuses(keywords: dict[str, Any], error: type[Exception], text: str) -> None:
    with refusal(error) as raised:
        Hyperparameters(**keywords)
    assert str(raised.value) == text


@every_refusal
def test_the_constructor_refuses(
    keywords: dict[str, Any], error: type[Exception], text: str
) -> None:
    with refusal(error) as raised:
        AdaBelief([parameter(3)], **keywords)
    assert str(raised.value) == text


@every_refusal
def test_the_constructor_refuses_it_in_a_group(
    keywords: dict[str, Any], error: type[Exception], text: str
) -> None:
    with refusal(error) as raised:
        AdaBelief([{"params": [parameter(3)]}, {"params": [parameter(2)], **keywords}])
    assert str(raised.value) == text


@every_refusal
def test_add_param_group_refuses_and_leaves_the_optimizer_as_it_was(
    keywords: dict[str, Any], error: type[Exception], text: str
) -> None:
    optimizer, _ = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    with refusal(error) as raised:
        optimizer.add_param_group({"params": [parameter(2)], **keywords})
    assert str(raised.value) == text
    assert_unchanged(optimizer, before)


@every_refusal
def test_load_state_dict_refuses_and_leaves_the_optimizer_as_it_was(
    keywords: dict[str, Any], error: type[Exception], text: str
) -> None:
    optimizer, param = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    bad = copy.deepcopy(before)
    bad["param_groups"][0].update(keywords)
    bad["state"][0]["exp_avg"] += 1
    with refusal(error) as raised:
        optimizer.load_state_dict(bad)
    assert str(raised.value) == text
    assert_unchanged(optimizer, before)
    assert optimizer.param_groups[0]["params"][0] is param


@pytest.mark.parametrize("keywords", ACCEPTED, ids=str)
@pytest.mark.parametrize("foreach", [True, False])
def test_what_is_allowed_is_taken_and_works(keywords: dict[str, Any], foreach: bool) -> None:
    param = parameter(3)
    optimizer = AdaBelief([param], **{"foreach": foreach, **keywords})
    for name, value in keywords.items():
        assert optimizer.param_groups[0][name] is value
        assert optimizer.defaults[name] is value
    for _ in range(2):
        param.grad = torch.tensor([1.0, -2.0, 3.0])
        optimizer.step()
    assert bool(param.isfinite().all())


def test_an_option_of_the_constructor_may_contradict_one_of_a_group_only_there() -> None:
    with pytest.raises(ValueError, match="fixed_decay=True needs"):
        AdaBelief([{"params": [parameter(3)], "fixed_decay": True}], decoupled_weight_decay=False)
    both: dict[str, Any] = {"fixed_decay": True, "decoupled_weight_decay": True}
    AdaBelief([{"params": [parameter(3)], **both}], decoupled_weight_decay=False)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decouple", "fused_", "beta1", "epsilon"])
def test_an_unknown_keyword_is_a_type_error(name: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        AdaBelief([parameter(3)], **{name: 1})  # type: ignore[arg-type]


def test_options_after_weight_decay_are_keywords() -> None:
    with pytest.raises(TypeError, match="positional"):
        AdaBelief([parameter(3)], 1e-3, (0.9, 0.999), 1e-16, 0.0, True)  # type: ignore[call-arg]


def test_hyperparameters_are_read_from_a_group_among_other_keys() -> None:
    optimizer = AdaBelief([parameter(3)], lr=0.5, rectify=True)
    group = {**optimizer.param_groups[0], "initial_lr": 1.0, "somebody": "else"}
    assert Hyperparameters.of(group) == Hyperparameters(lr=0.5, rectify=True)


def test_hyperparameters_cannot_be_changed_unchecked() -> None:
    with pytest.raises(AttributeError):
        Hyperparameters().lr = -1  # type: ignore[misc]


def test_the_state_of_adam_is_refused_and_nothing_changes() -> None:
    optimizer, param = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    adam = torch.optim.Adam([param])
    adam.step()
    with pytest.raises(ValueError, match="the state of parameter 0 must have") as raised:
        optimizer.load_state_dict(adam.state_dict())
    assert str(raised.value) == (
        "the state of parameter 0 must have step, exp_avg and exp_avg_var, "
        "got ['exp_avg', 'exp_avg_sq', 'step']: it was not saved by AdaBelief"
    )
    assert_unchanged(optimizer, before)


@pytest.mark.parametrize("key", ["exp_avg", "exp_avg_var", "max_exp_avg_var"])
def test_state_of_another_shape_is_refused_and_nothing_changes(key: str) -> None:
    optimizer, _ = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    bad = copy.deepcopy(before)
    bad["state"][0][key] = torch.ones(1)  # would broadcast
    with pytest.raises(ValueError, match="must have the parameter's shape") as raised:
        optimizer.load_state_dict(bad)
    assert str(raised.value) == (
        f"{key} of parameter 0 must have the parameter's shape (3,), got (1,)"
    )
    assert_unchanged(optimizer, before)


@pytest.mark.parametrize("key", ["step", "exp_avg", "exp_avg_var"])
def test_incomplete_state_is_refused_and_nothing_changes(key: str) -> None:
    optimizer, _ = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    bad = copy.deepcopy(before)
    del bad["state"][0][key]
    with pytest.raises(ValueError, match="it was not saved by AdaBelief"):
        optimizer.load_state_dict(bad)
    assert_unchanged(optimizer, before)


def test_a_checkpoint_of_other_groups_is_refused_and_nothing_changes() -> None:
    optimizer, _ = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    more_params = AdaBelief([parameter(3), parameter(3)])
    more_groups = AdaBelief([{"params": [parameter(3)]}, {"params": [parameter(3)]}])
    for other, text in ((more_params, "doesn't match the size"), (more_groups, "different number")):
        with pytest.raises(ValueError, match=text):
            optimizer.load_state_dict(other.state_dict())
        assert_unchanged(optimizer, before)
