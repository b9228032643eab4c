"""Truth for a model trained by many processes: the same model in one process, beside it.

A sum over ranks or shards is rounded in another order than a sum over the batch, so gradients of
two trainings differ in the last bits and their parameters would drift apart. So the twin takes
every gradient from the distributed model, gathered, and AdaBelief being elementwise, parameters
and state must then be equal bit for bit after every step. That the gathered gradient is the one
of the whole batch is checked apart, at parameters known to be equal, where nothing piles up.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from adabelief import AdaBelief

STEPS = 10
LOSS = nn.MSELoss()
# Relative to the largest element of a gradient. Roundings of at most 8 products and 12 samples
# cost some 2⁻²⁰ in float32; a gradient that was not averaged, or taken from a part of the batch,
# is off by a factor.
GRADIENT_ERROR = 1e-5

Make = Callable[[Iterable[Any]], Any]


def batch(step: int, size: int = 12, features: int = 3) -> tuple[Tensor, Tensor]:
    """Inputs and targets of one step, the same on every rank."""
    random = torch.Generator().manual_seed(step)
    return torch.randn(size, features, generator=random), torch.randn(size, 1, generator=random)


def model(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Five rows and one: on 2 ranks uneven shards and empty ones, on 4 ranks more of them."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).to(dtype)


def full(tensor: Tensor) -> Tensor:
    """A copy of the whole tensor, on every rank."""
    tensor = tensor.detach()
    if tensor.dtype == torch.int16:  # which gloo does not gather
        tensor = tensor.to(torch.int32)
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()


def assert_same(got: Tensor, truth: Tensor, what: str) -> None:
    """Equal bit for bit, in the same dtype."""
    got, truth = full(got), full(truth)
    torch.testing.assert_close(got, truth, rtol=0, atol=0, msg=lambda text: f"{what}: {text}")


class Twin:
    """One process's copy of `module` and of its optimizer."""

    def __init__(self, module: nn.Module, make: Make, gradient_error: float = GRADIENT_ERROR):
        self.module = copy.deepcopy(module)
        self.optimizer: AdaBelief = make(self.module.parameters())
        self.gradient_error = gradient_error
        self.params = dict(self.module.named_parameters())
        self.history: list[Mapping[str, Tensor]] = []

    def check(self, grads: Mapping[str, Tensor], inputs: Tensor, targets: Tensor) -> None:
        """Assert that `grads` are those of the whole batch at the twin's parameters."""
        dtype = next(self.module.parameters()).dtype
        loss = LOSS(self.module(inputs.to(dtype)), targets.to(dtype))
        truth = torch.autograd.grad(loss, list(self.params.values()))
        for name, true in zip(self.params, truth, strict=True):
            error = self.gradient_error * float(true.abs().max())
            torch.testing.assert_close(grads[name], true, rtol=0, atol=error)

    def step(self, grads: Mapping[str, Tensor]) -> None:
        for name, param in self.params.items():
            param.grad = grads[name]
        self.optimizer.step()
        self.history.append(grads)

    def equals(self, params: Mapping[str, Tensor], state: Mapping[Tensor, Any], step: int) -> None:
        """Assert that parameters and state of the distributed training are the twin's.

        `state` may be that of some of the parameters, if others are another rank's.
        """
        assert params.keys() == self.params.keys()
        for name, param in self.params.items():
            assert_same(params[name], param.detach(), f"{name} after step {step}")
            if params[name] in state:
                self.state_equals(name, state[params[name]], step)

    def state_equals(self, name: str, got: Mapping[str, Tensor], step: int) -> None:
        truth = self.optimizer.state[self.params[name]]
        assert got.keys() == truth.keys()
        for key, value in truth.items():
            assert_same(got[key], value, f"{key} of {name} after step {step}")


def train(
    module: nn.Module,
    optimizer: Any,
    twin: Twin,
    steps: Iterable[int] = range(STEPS),
    *,
    share: Callable[[Tensor], Tensor] = torch.clone,
    before_step: Callable[[], object] = lambda: None,
) -> None:
    """Train both and compare them after every step.

    Args:
        module: distributed; its parameters are whole tensors or DTensors.
        optimizer: its optimizer.
        twin: the truth.
        steps: numbers of the batches.
        share: this rank's part of a batch.
        before_step: done between backward and step, such as clipping.
    """
    params = named(module)
    for step in steps:
        inputs, targets = batch(step)
        optimizer.zero_grad()
        dtype = next(module.parameters()).dtype
        LOSS(module(share(inputs).to(dtype)), share(targets).to(dtype)).backward()
        twin.check(gradients(params), inputs, targets)
        before_step()
        grads = gradients(params)
        optimizer.step()
        for name, grad in gradients(params).items():
            assert_same(grad, grads[name], f"gradient of {name}, which step() may only read")
        twin.step(grads)
        twin.equals(params, getattr(optimizer, "optim", optimizer).state, step)


def named(module: nn.Module) -> dict[str, Tensor]:
    """Parameters by their names in the plain model."""
    return {
        name.removeprefix("module.").removeprefix("_fsdp_wrapped_module."): param
        for name, param in module.named_parameters()
    }


def gradients(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: full(param.grad) for name, param in params.items() if param.grad is not None}
