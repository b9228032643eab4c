"""What users write, in every way that torch.optim accepts: for type checkers, and to be run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)
from torch.optim.optimizer import Optimizer
from typing_extensions import assert_type

from adabelief import AdaBelief, ExponentialBeta1, Hyperparameters, InverseTimeBeta1, recipes


class Gentle(AdaBelief):
    """A user's own defaults."""

    def __init__(self, params: Iterator[nn.Parameter]) -> None:
        super().__init__(params, lr=1e-4, clip_update=1.0)


def parameters_in_all_forms(model: nn.Module) -> list[Optimizer]:
    first, second = nn.Parameter(torch.ones(2)), torch.ones(3, requires_grad=True)
    groups: list[dict[str, Any]] = [{"params": [first], "lr": 1e-2}, {"params": [second]}]
    return [
        AdaBelief(model.parameters()),
        AdaBelief(model.named_parameters()),
        AdaBelief(list(model.named_parameters()), lr=1e-3),
        AdaBelief(param for param in model.parameters() if param.ndim > 1),
        AdaBelief([second]),
        AdaBelief((first, first.detach().clone().requires_grad_())),
        AdaBelief(groups, lr=1e-3, weight_decay=0.1),
        AdaBelief([{"params": model.parameters(), "betas": (0.5, 0.9)}]),
        AdaBelief([{"params": model.named_parameters()}]),
        Gentle(model.parameters()),
    ]


def options_in_all_forms(model: nn.Module) -> list[Optimizer]:
    settings: dict[str, Any] = {"lr": 1e-3, "amsgrad": True}
    return [
        AdaBelief(model.parameters(), 1e-3, (0.9, 0.999), 1e-16, 1e-2),
        AdaBelief(model.parameters(), lr=torch.tensor(1e-3)),
        AdaBelief(model.parameters(), lr=1, eps=0, weight_decay=0),
        AdaBelief(model.parameters(), **settings),
        AdaBelief(model.parameters(), **recipes["cifar"]),
        AdaBelief(
            model.parameters(),
            decoupled_weight_decay=False,
            fixed_decay=False,
            amsgrad=True,
            rectify=True,
            bias_correction=True,
            clip_update=None,
            maximize=False,
            foreach=None,
        ),
    ]


def steps(model: nn.Module, optimizer: AdaBelief) -> tuple[float, Tensor]:
    def as_number() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = model(torch.ones(2)).sum()
        loss.backward()
        return float(loss.item())

    def as_tensor() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model(torch.ones(2)).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step()
    optimizer.step(None)
    optimizer.step(closure=None)
    return assert_type(optimizer.step(as_number), float), assert_type(
        optimizer.step(closure=as_tensor), Tensor
    )


def schedules(optimizer: AdaBelief) -> list[LRScheduler]:
    rise = LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    fall = CosineAnnealingLR(optimizer, T_max=10)
    return [
        SequentialLR(optimizer, [rise, fall], [10]),
        OneCycleLR(optimizer, max_lr=0.1, total_steps=10),
        ReduceLROnPlateau(optimizer),
    ]


def beta1_schedules(optimizer: AdaBelief) -> list[float]:
    schedule = ExponentialBeta1(optimizer, gamma=0.9)
    schedule.step()
    schedule.load_state_dict(schedule.state_dict())
    assert_type(InverseTimeBeta1(torch.optim.Adam([torch.ones(1)])).factor(2), float)
    return assert_type(schedule.get_last_beta1(), list[float])


def hooks(optimizer: AdaBelief) -> None:
    def before(_: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del args, kwargs

    handle = optimizer.register_step_pre_hook(before)
    handle.remove()
    optimizer.register_step_post_hook(before).remove()


def groups_and_state(optimizer: AdaBelief) -> Hyperparameters:
    optimizer.add_param_group({"params": [torch.ones(2, requires_grad=True)], "lr": 0.1})
    for group in optimizer.param_groups:
        group["lr"] *= 0.5
    for param, state in optimizer.state.items():
        assert_type(param, Tensor)
        assert "exp_avg" in state
    optimizer.load_state_dict(optimizer.state_dict())
    return Hyperparameters.of(optimizer.defaults)


def factories(model: nn.Module) -> list[Optimizer]:
    """A class of optimizers, as schedulers of experiments take it, and a function."""
    kinds: list[type[Optimizer]] = [torch.optim.AdamW, AdaBelief]
    make: Callable[..., Optimizer] = AdaBelief
    return [make(model.parameters(), lr=1e-3) for _ in kinds]
