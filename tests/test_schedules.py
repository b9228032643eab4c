"""Learning rates that change: torch's schedulers, and tensors changed in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import lr_scheduler

from adabelief import AdaBelief
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
