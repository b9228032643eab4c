"""lr, weight_decay and betas may be tensors: of any shape of one element, changed in place."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adabelief import AdaBelief
from cases import STEPS, normal
from oracle import Oracle

PATHS: list[dict[str, Any]] = [
    {"foreach": False},
    {"foreach": True},
    {"capturable": True, "foreach": False},
    {"capturable": True, "foreach": True},
]


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensor_options_follow_the_reference_with_their_exact_values(
    dtype: torch.dtype, path: dict[str, Any], decoupled: bool, shape: tuple[int, ...]
) -> None:
    random = torch.Generator().manual_seed(0)
    params = [normal(5, 3)(random, dtype).requires_grad_() for _ in range(3)]

    def tensor(value: float) -> torch.Tensor:
        return torch.full(shape, value, dtype=dtype)

    lr, weight_decay = tensor(0.02), tensor(0.1)
    betas = (tensor(0.8), tensor(0.95))
    optimizer = AdaBelief(
        params, lr=lr, betas=betas, weight_decay=weight_decay, rectify=True,
        decoupled_weight_decay=decoupled, **path,
    )  # fmt: skip
    oracle = Oracle(params, traced=True)
    for t in range(STEPS):
        for param in params:
            param.grad = normal(5, 3)(random, dtype)
        if t % 3 == 0:
            lr.mul_(0.7)  # in place, as capturable schedules do
        optimizer.step()
        exact = {
            "lr": lr.item(),
            "weight_decay": weight_decay.item(),
            "betas": tuple(beta.item() for beta in betas),
            "rectify": True,
            "decoupled_weight_decay": decoupled,
        }
        grads = [param.grad for param in params if param.grad is not None]
        oracle.expect(grads, params, [optimizer.state[param] for param in params], exact)
    assert torch.equal(betas[0], tensor(0.8)), "options are read, never written"
