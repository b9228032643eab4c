"""Trainings with a feasible set whose points are spread over ranks; `launch.run` starts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from adabelief import AdaBelief
from adabelief.feasible import Box, FeasibleSet, L2Ball, Simplex
from ranks.jobs import Block, Options, assert_sharded, shard, share
from ranks.twin import STEPS, Make, Twin, full, model, train

SETS: dict[str, FeasibleSet] = {
    "box": Box(-0.1, 0.1),
    "ball": L2Ball(0.5),
    "simplex": Simplex(dim=-1),
}


def make_of(name: str, options: Options) -> Make:
    """Matrices are constrained and vectors are free."""

    def make(params: Iterable[Tensor]) -> AdaBelief:
        every = list(params)
        matrices = [param for param in every if param.ndim == 2]
        vectors = [param for param in every if param.ndim == 1]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "feasible_set": SETS[name]},
            {"params": vectors},
        ]
        return AdaBelief(groups, **{"lr": 0.05, **options})

    return make


def assert_feasible(name: str, matrices: Iterable[Tensor]) -> bool:
    """Assert that no point is outside by more than rounding; True if one is on the boundary."""
    touched = []
    for matrix in matrices:
        if name == "box":
            assert matrix.abs().max() <= torch.tensor(0.1)
            touched.append(bool(matrix.abs().max() == torch.tensor(0.1)))
        elif name == "ball":
            # The projection is exact but for the rounding of its elements, and a few more.
            excess = float(matrix.double().norm()) / 0.5 - 1
            assert excess <= 4 * 2**-24
            touched.append(excess > -4 * 2**-24)
        else:
            assert matrix.min() >= 0
            # Sums of numbers in [0, 1]: one rounding for each, and a few more.
            assert (matrix.double().sum(-1) - 1).abs().max() <= (matrix.shape[-1] + 4) * 2**-24
            touched.append(True)
    return any(touched)


def check(
    name: str,
    module: nn.Module,
    optimizer: AdaBelief,
    twin: Twin,
    part: Callable[[Tensor], Tensor] = torch.clone,
) -> None:
    """Train; after every step the whole tensors must be in the set, and the twin's."""
    acts = False
    for step in range(STEPS):
        train(module, optimizer, twin, [step], share=part)
        acts |= assert_feasible(name, [full(p) for p in module.parameters() if p.ndim == 2])
    assert acts


def fully_sharded(name: str, options: Options) -> None:
    """Rows are spread over ranks, unevenly; a simplex is within a row, a ball is not."""
    module = model()
    make = make_of(name, options)
    twin = Twin(module, make)
    shard(module)
    optimizer = make(module.parameters())
    check(name, module, optimizer, twin, share)
    assert_sharded(module, optimizer)


def tensor_parallel(name: str, options: Options) -> None:
    """The second layer is split along its columns: here a row of the simplex is spread too."""
    torch.manual_seed(0)
    module = Block()
    make = make_of(name, options)
    twin = Twin(module, make)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    parallelize_module(module, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    check(name, module, make(module.parameters()), twin)
