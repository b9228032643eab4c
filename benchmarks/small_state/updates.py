"""How far one update is from that of float32 state, along a trajectory that float32 state steers.

Training forgives a format that stands still, if what it keeps is about right; this does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from benchmarks.small_state.controls import Linear8bit, NearestBfloat16
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief_lab.common.environment import environment
from adabelief_lab.common.rng import generator
from adabelief_lab.workloads.fashion_mnist import load_splits

FORMATS: Mapping[str, tuple[type[AdaBelief], dict[str, Any]]] = {
    "bfloat16": (AdaBelief, {"state_dtype": "bfloat16"}),
    "bfloat16, s to nearest": (NearestBfloat16, {}),
    "8bit": (AdaBelief, {"state_dtype": "8bit"}),
    "linear 8-bit": (Linear8bit, {}),
}
EXAMPLES, BATCH, HIDDEN = 2000, 64, 64
LR = 1e-3
STEPS, COMPARED = 600, 50
BATCHES = {"minibatch": BATCH, "full batch": EXAMPLES}


class Updates:
    """An optimizer whose parameters are 0 before each step: what they are then is its update."""

    def __init__(self, model: nn.Module, cls: type[AdaBelief], options: dict[str, Any]) -> None:
        self.params = [torch.zeros_like(param) for param in model.parameters()]
        self.optimizer = cls(self.params, lr=LR, **options)

    def of(self, grads: list[Tensor]) -> list[Tensor]:
        """The update that these gradients lead to."""
        for param, grad in zip(self.params, grads, strict=True):
            param.zero_()
            param.grad = grad.clone()
        self.optimizer.step()
        return self.params


def measure(steps: int = STEPS, compared: int = COMPARED) -> dict[str, Any]:
    """Errors of all formats with noisy and with deterministic gradients, as the record has them.

    Args:
        steps: of the trajectory.
        compared: the last ones, over which errors are averaged.
    """
    return {
        "machine": environment(),
        "model": f"MLP 784-{HIDDEN}-10 on {EXAMPLES} images of Fashion-MNIST",
        "lr": LR,
        "steps": steps,
        "compared": compared,
        "batches": BATCHES,
        "errors": {name: _errors(size, steps, compared) for name, size in BATCHES.items()},
    }


def _errors(size: int, steps: int, compared: int) -> dict[str, dict[str, float]]:
    """By format: relative L2 error, cosine and relative norm of the update vector."""
    inputs, targets = (tensor[:EXAMPLES] for tensor in load_splits("embedded")["train"])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(28 * 28, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)
        )
    params = list(model.parameters())
    wide = Updates(model, AdaBelief, {})
    small = {name: Updates(model, *format_) for name, format_ in FORMATS.items()}
    sums = {name: [0.0, 0.0, 0.0] for name in small}
    for step in range(steps):
        chosen = torch.randperm(EXAMPLES, generator=generator(0, step))[:size]
        if size == EXAMPLES:
            chosen = torch.arange(EXAMPLES)  # the order would be noise, if little
        loss = nn.functional.cross_entropy(model(inputs[chosen]), targets[chosen])
        grads = list(torch.autograd.grad(loss, params))
        with torch.no_grad():
            update = wide.of(grads)
            exact = _vector(update)
            for name, each in small.items():
                found = _vector(each.of(grads))
                if step >= steps - compared:
                    distance = _distance(found, exact)
                    sums[name] = [a + b for a, b in zip(sums[name], distance, strict=True)]
            for param, change in zip(params, update, strict=True):
                param.add_(change)
    names = ("error", "cosine", "norm")
    return {
        name: {what: total / compared for what, total in zip(names, totals, strict=True)}
        for name, totals in sums.items()
    }


def _vector(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors]).double()


def _distance(found: Tensor, exact: Tensor) -> tuple[float, float, float]:
    """|found − exact| / |exact|, the cosine between them, and |found| / |exact|."""
    length = exact.norm()
    return (
        float((found - exact).norm() / length),
        float(torch.dot(found, exact) / (found.norm() * length)),
        float(found.norm() / length),
    )
