"""Rates that change: torch's schedulers of lr, tensors changed in place, our schedules of β₁."""

from __future__ import annotations

import copy
import doctest
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import lr_scheduler

from adabelief import AdaBelief, ExponentialBeta1, InverseTimeBeta1, schedules
from cases import STEPS, normal, with_gradient
from oracle import Oracle

all_paths = pytest.mark.parametrize("path", [False, True, None], ids=["loop", "foreach", "chosen"])

Scheduler = Callable[[torch.optim.Optimizer], Any]
SCHEDULERS: dict[str, Scheduler] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (t + 1)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, total_iters=4),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, total_iters=4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 8),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=STEPS),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.3, 3),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1), lr_scheduler.ExponentialLR(o, 0.8)], [4]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.1, 4), lr_scheduler.ExponentialLR(o, 0.8)]
    ),
}


@pytest.mark.parametrize("tensor_lr", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_torchs_schedulers_set_the_lr_of_the_next_step(name: str, tensor_lr: bool) -> None:
    random = torch.Generator().manual_seed(1)
    param = normal(7)(random, torch.float64).requires_grad_()
    lr: float | Tensor = torch.tensor(0.1, dtype=torch.float64) if tensor_lr else 0.1
    optimizer = AdaBelief([param], lr=lr, weight_decay=0.1)
    oracle, scheduler = Oracle([param]), SCHEDULERS[name](optimizer)
    seen = set()
    for _ in range(STEPS - 1):
        group = optimizer.param_groups[0]
        options = {"lr": float(group["lr"]), "betas": group["betas"], "weight_decay": 0.1}
        seen.add((options["lr"], group["betas"]))
        param.grad = normal(7)(random, torch.float64)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)
        scheduler.step(*[1.0] * (name == "ReduceLROnPlateau"))
    assert len(seen) > 1, "the schedule did nothing"
    if name in ("OneCycleLR", "CyclicLR"):
        assert len({betas for _, betas in seen}) > 1, "they cycle betas too"


@all_paths
def test_a_tensor_lr_may_be_changed_in_place(path: bool | None) -> None:
    lr = torch.tensor([0.1])
    param = with_gradient(5)
    optimizer, oracle = AdaBelief([param], lr=lr, foreach=path), Oracle([param])
    for step in range(6):
        lr.fill_(0.1 / (step + 1))
        optimizer.step()
        assert param.grad is not None
        options = {"lr": lr.item()}
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)
    assert optimizer.param_groups[0]["lr"] is lr


def test_a_tensor_lr_that_requires_grad_is_read_without_a_warning() -> None:
    param = with_gradient(5)
    optimizer, oracle = (
        AdaBelief([param], lr=torch.tensor(0.5, requires_grad=True)),
        Oracle([param]),
    )
    optimizer.step()
    assert param.grad is not None
    oracle.expect([param.grad], [param], [optimizer.state[param]], {"lr": 0.5})


BETA1_SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "exponential": lambda o: ExponentialBeta1(o, 0.5),
    "inverse time": InverseTimeBeta1,
}
all_beta1 = pytest.mark.parametrize("name", BETA1_SCHEDULES)


def beta1_at(name: str, base: float, step: int) -> float:
    return base / 2 ** (step - 1) if name == "exponential" else base / step


@pytest.mark.parametrize("tensors", [False, True], ids=["numbers", "tensors"])
@all_beta1
def test_beta1_of_every_group_falls_and_the_step_uses_it(name: str, tensors: bool) -> None:
    random = torch.Generator().manual_seed(1)
    params = [normal(7)(random, torch.float64).requires_grad_() for _ in range(2)]
    bases = (0.9, 0.5)
    groups: list[dict[str, Any]] = [
        {"params": [param], "betas": tuple(map(torch.tensor, (base, 0.9))) if tensors
         else (base, 0.9)}
        for param, base in zip(params, bases, strict=True)
    ]  # fmt: skip
    optimizer = AdaBelief(groups, lr=0.1, bias_correction=False)
    oracles, schedule = [Oracle([param]) for param in params], BETA1_SCHEDULES[name](optimizer)
    for step in range(1, STEPS):
        # float32, if it is a tensor: compared after the same rounding, and not again
        ours = [float(group["betas"][0]) for group in optimizer.param_groups]
        expected = [beta1_at(name, base, step) for base in bases]
        assert ours == pytest.approx(expected, rel=2.0**-23 if tensors else 2.0**-52)
        assert schedule.get_last_beta1() == ours
        for param in params:
            param.grad = normal(7)(random, torch.float64)
        optimizer.step()
        for param, oracle, group in zip(params, oracles, optimizer.param_groups, strict=True):
            assert param.grad is not None
            betas = tuple(map(float, group["betas"]))
            options = {"lr": 0.1, "betas": betas, "bias_correction": False}
            oracle.expect([param.grad], [param], [optimizer.state[param]], options)
        schedule.step()


@pytest.mark.parametrize("order", ["optimizer first", "schedule first", "made after loading"])
@all_beta1
def test_a_resumed_schedule_goes_on_where_it_stopped(name: str, order: str) -> None:
    whole = AdaBelief([with_gradient(3)], lr=0.1, bias_correction=False)
    schedule = BETA1_SCHEDULES[name](whole)
    for _ in range(4):
        whole.step()
        schedule.step()
    states = copy.deepcopy((whole.state_dict(), schedule.state_dict()))
    fresh = AdaBelief([with_gradient(3)], lr=0.1, bias_correction=False)
    if order == "made after loading":
        fresh.load_state_dict(states[0])
        resumed = BETA1_SCHEDULES[name](fresh)
        resumed.load_state_dict(states[1])
    else:
        resumed = BETA1_SCHEDULES[name](fresh)
        pairs = [(fresh, states[0]), (resumed, states[1])]
        for each, state in pairs if order == "optimizer first" else pairs[::-1]:
            each.load_state_dict(state)
    for _ in range(3):
        assert fresh.param_groups[0]["betas"] == whole.param_groups[0]["betas"]
        for each in (schedule, resumed):
            each.step()
    assert whole.param_groups[0]["betas"] == (beta1_at(name, 0.9, 8), 0.999)


def test_a_group_that_comes_later_begins_with_its_own_beta1() -> None:
    optimizer = AdaBelief([with_gradient(3)])
    schedule = InverseTimeBeta1(optimizer)
    schedule.step()
    optimizer.add_param_group({"params": [with_gradient(2)], "betas": (0.6, 0.9)})
    schedule.step()
    assert [group["betas"] for group in optimizer.param_groups] == [
        (0.9 / 3, 0.999),
        (0.6 / 3, 0.9),
    ]


def test_beta1_never_becomes_0_which_adabelief_would_refuse_to_load() -> None:
    optimizer = AdaBelief([with_gradient(3)])
    schedule = ExponentialBeta1(optimizer, 1e-300)
    for _ in range(3):
        schedule.step()
    assert 0 < optimizer.param_groups[0]["betas"][0] < 1e-300
    AdaBelief([with_gradient(3)]).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    ("gamma", "error", "text"),
    [
        (1.0, ValueError, r"gamma must be in \(0, 1\), got 1.0"),
        (0.0, ValueError, r"gamma must be in \(0, 1\), got 0.0"),
        (float("nan"), ValueError, r"gamma must be in \(0, 1\), got nan"),
        ("0.9", TypeError, r"gamma must be a number in \(0, 1\), got '0.9'"),
    ],
)
def test_gamma_is_checked(gamma: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ExponentialBeta1(AdaBelief([with_gradient(3)]), gamma)


def test_what_does_not_fit_a_beta1_schedule_is_refused() -> None:
    param = with_gradient(3)
    with pytest.raises(ValueError, match="got SGD without them in group 0"):
        InverseTimeBeta1(torch.optim.SGD([param], lr=0.1))
    with pytest.raises(TypeError, match=r"must be a torch\.optim\.Optimizer, got Tensor"):
        InverseTimeBeta1(param)  # type: ignore[arg-type]
    schedule = InverseTimeBeta1(AdaBelief([param]))
    with pytest.raises(ValueError, match="state_dict must have"):
        schedule.load_state_dict(ExponentialBeta1(AdaBelief([param]), 0.5).state_dict())
    two = AdaBelief([{"params": [with_gradient(3)]}, {"params": [with_gradient(2)]}])
    with pytest.raises(ValueError, match="must be of 1 parameter groups, got 2"):
        schedule.load_state_dict(InverseTimeBeta1(two).state_dict())


def test_the_examples_print_what_they_say() -> None:
    outcome = doctest.testmod(schedules)
    assert outcome.attempted
    assert not outcome.failed
