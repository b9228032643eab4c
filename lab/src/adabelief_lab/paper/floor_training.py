"""The same training with ε from 1e-4 to 1e-20: AdaBelief, EAdam and Adam on real images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from adabelief import AdaBelief
from adabelief_lab.optimizers.implementations.eadam import EAdam
from adabelief_lab.tasks.supervised import Supervised
from adabelief_lab.workloads import fashion_mnist

EPSILONS = tuple(float(f"1e-{power}") for power in range(4, 21, 2))
OPTIMIZERS = ("AdaBelief", "EAdam", "Adam")
LR, BETAS = 1e-3, (0.9, 0.999)  # section 2.2
STEPS, BATCH, WIDTH = 120, 64, 8
SEEDS = (0, 1)


@dataclass(frozen=True)
class Outcome:
    """Of one optimizer at one ε, means over seeds.

    Args:
        loss: on the validation images, after the last step.
        accuracy: likewise, in [0, 1].
        at_floor: share of elements in whose denominator ε counts for more than the gradients.
        sgd_lr: learning rate of torch's SGD with momentum β₁ that moves the median element as far.
        same_as: learning rate of that SGD if all elements were at the floor.
    """

    loss: float
    accuracy: float
    at_floor: float
    sgd_lr: float
    same_as: float


def outcomes() -> dict[str, list[dict[str, float]]]:
    """For each optimizer, one outcome for each of `EPSILONS`."""
    return {name: [asdict(outcome(name, eps)) for eps in EPSILONS] for name in OPTIMIZERS}


def outcome(name: str, eps: float) -> Outcome:
    """Train once for each seed."""
    found = [_train(name, eps, seed) for seed in SEEDS]
    means = {key: sum(one[key] for one in found) / len(found) for key in found[0]}
    return Outcome(**means, same_as=LR * (1 - BETAS[0]) / floor(name, eps))


def floor(name: str, eps: float) -> float:
    """The denominator of an element whose gradients are all 0."""
    return eps if name == "Adam" else (eps / (1 - BETAS[1])) ** 0.5 + eps


def _train(name: str, eps: float, seed: int) -> dict[str, float]:
    task = _task(seed)
    optimizer = _optimizer(name, eps, task.modules["model"].parameters())
    for index in range(STEPS):
        task.step(index, {"model": optimizer})
    denominators = torch.cat([own.flatten() for own in _denominators(name, eps, optimizer)])
    metrics = task.evaluate("valid")
    return {
        "loss": metrics["loss"],
        "accuracy": metrics["accuracy"],
        "at_floor": (denominators <= dominated(name, eps)).double().mean().item(),
        "sgd_lr": LR * (1 - BETAS[0]) / denominators.median().item(),
    }


def dominated(name: str, eps: float) -> float:
    """The denominator at which gradients and ε count alike: twice ε's part, of s or of √v."""
    return 2 * eps if name == "Adam" else (2 * eps / (1 - BETAS[1])) ** 0.5 + eps


def _task(seed: int) -> Supervised:
    options = {"data": "embedded", "batch_size": BATCH, "width": WIDTH}
    preset = fashion_mnist.workload.presets["quick"].model_copy(update={"options": options})
    return fashion_mnist.build(preset, seed, seed)


def _optimizer(name: str, eps: float, params: Iterator[nn.Parameter]) -> Optimizer:
    if name == "Adam":
        return Adam(params, LR, BETAS, eps)
    kind = {"AdaBelief": AdaBelief, "EAdam": EAdam}[name]
    return kind(params, LR, BETAS, eps)


def _denominators(name: str, eps: float, optimizer: Optimizer) -> list[Tensor]:
    key = "exp_avg_var" if name == "AdaBelief" else "exp_avg_sq"
    bias2 = 1 - BETAS[1] ** STEPS
    # float64: float32 has no squares below 1e-45.
    return [(state[key].double() / bias2).sqrt() + eps for state in optimizer.state.values()]
