"""Trainings by several processes, each beside its twin; `launch.run` starts them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from adabelief import AdaBelief
from adabelief.step.dtensor import local
from ranks.twin import LOSS, STEPS, Make, Twin, batch, gradients, model, named, train

Options = Mapping[str, Any]


def share(whole: Tensor) -> Tensor:
    """This rank's equal part of a batch."""
    return whole.chunk(dist.get_world_size())[dist.get_rank()]


def plain(options: Options) -> Make:
    return partial(AdaBelief, **{"lr": 0.05, **options})


def two_groups(params: Iterable[Tensor], options: Options) -> AdaBelief:
    """Weights decay, biases learn more slowly and keep a maximum."""
    every = list(params)
    groups = [
        {"params": [param for param in every if param.ndim > 1], "weight_decay": 0.1},
        {"params": [param for param in every if param.ndim == 1], "lr": 0.01, "amsgrad": True},
    ]
    return AdaBelief(groups, **{"lr": 0.05, **options})


def data_parallel(ways: list[Options], cases: list[Options]) -> None:
    for way in ways:
        for options in cases:
            module = model()
            twin = Twin(module, plain(options))
            parallel = DistributedDataParallel(module, **way)
            train(parallel, plain(options)(parallel.parameters()), twin, share=share)


def assert_sharded(module: nn.Module, optimizer: AdaBelief) -> None:
    """The shards are what the test says they are, and the state is sharded as its parameter."""
    rows = [param.to_local().shape[0] for param in module.parameters()]  # type: ignore[attr-defined]
    whole = [param.shape[0] for param in module.parameters()]
    assert rows != whole
    if dist.get_rank() == dist.get_world_size() - 1:
        assert 0 in rows
    for param in module.parameters():
        assert isinstance(param, DTensor)
        for key, value in optimizer.state[param].items():
            if key != "step":
                assert isinstance(value, DTensor)
                assert value.placements == param.placements
                assert value.device_mesh == param.device_mesh
                assert value.to_local().shape == param.to_local().shape


def fully_sharded(cases: list[Options], dtype: torch.dtype = torch.float32) -> None:
    for options in cases:
        module = model(dtype)
        error = 1e-5 if dtype is torch.float32 else 0.05
        twin = Twin(module, plain(options), error)
        shard(module)
        optimizer = plain(options)(module.parameters())
        train(module, optimizer, twin, share=share)
        assert_sharded(module, optimizer)


def shard(module: nn.Module, **policy: Any) -> None:
    for layer in module.children():
        if list(layer.parameters()):
            fully_shard(layer, **policy)
    fully_shard(module, **policy)


def groups_and_clipping(options: Options) -> None:
    """The norm of a sharded gradient is a DTensor with a pending sum; scaled gradients too."""
    module = model()
    make: Make = partial(two_groups, options=options)
    twin = Twin(module, make)
    shard(module)
    optimizer = make(module.parameters())
    norms = []

    def clip() -> None:
        norms.append(float(clip_grad_norm_(module.parameters(), 0.5).full_tensor()))  # type: ignore[attr-defined]

    train(module, optimizer, twin, share=share, before_step=clip)
    assert max(norms) > 0.5


def mixed_precision(options: Options) -> None:
    """Forward and backward in bfloat16; what the optimizer sees is float32."""
    module = model()
    twin = Twin(module, plain(options), gradient_error=0.1)
    shard(module, mp_policy=MixedPrecisionPolicy(torch.bfloat16, torch.float32))
    optimizer = plain(options)(module.parameters())
    train(module, optimizer, twin, share=share)
    assert all(param.dtype is torch.float32 for param in module.parameters())


def sharded_after_construction(options: Options) -> None:
    """Accelerate's order: the optimizer exists, and is then told of the new parameters."""
    module = model()
    twin = Twin(module, plain(options))
    optimizer = plain(options)(module.parameters())
    shard(module)
    optimizer.param_groups[0]["params"] = list(module.parameters())
    train(module, optimizer, twin, share=share)
    assert_sharded(module, optimizer)


class Block(nn.Module):
    """Two layers to split over ranks and a norm that every rank has whole."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(3)
        self.up = nn.Linear(3, 8)
        self.down = nn.Linear(8, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.tanh(self.up(self.norm(inputs)))
        return torch.tanh(self.down(hidden))  # FSDP2 warns of modules that return views


def tensor_parallel(cases: list[Options]) -> None:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for options in cases:
        torch.manual_seed(0)
        module = Block()
        twin = Twin(module, plain(options))
        parallelize_module(module, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
        kinds = [isinstance(param, DTensor) for param in module.parameters()]
        assert kinds == [False, False, True, True, True, True]
        train(module, plain(options)(module.parameters()), twin)


def two_dimensions(options: Options) -> None:
    """Tensor parallel in pairs, the pairs fully sharded: DTensors of two meshes in one group."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "tensor"))
    torch.manual_seed(0)
    module = Block()
    twin = Twin(module, plain(options))
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    parallelize_module(module, mesh["tensor"], plan)
    fully_shard(module, mesh=mesh["data"])
    meshes = {param.device_mesh for param in module.parameters()}  # type: ignore[attr-defined]
    assert {found.ndim for found in meshes} == {1, 2}
    rank = mesh["data"].get_local_rank()
    optimizer = plain(options)(module.parameters())
    train(module, optimizer, twin, share=lambda whole: whole.chunk(2)[rank])


def flat_parameters(options: Options) -> None:
    """The first FSDP: parameters are views of a flat one, of which a rank has any part or none."""
    warnings.filterwarnings("ignore", "FSDP is switching to use `NO_SHARD`", UserWarning)
    warnings.filterwarnings("ignore", "FullyShardedDataParallel", FutureWarning)
    module = model()
    twin = Twin(module, plain(options))
    wrapped = FullyShardedDataParallel(module, use_orig_params=True, device_id=torch.device("cpu"))
    optimizer = plain(options)(wrapped.parameters())
    for step in range(STEPS):
        inputs, targets = batch(step)
        optimizer.zero_grad()
        LOSS(wrapped(share(inputs)), share(targets)).backward()
        with FullyShardedDataParallel.summon_full_params(wrapped, with_grads=True):
            grads = gradients(named(module))
        twin.check(grads, inputs, targets)
        optimizer.step()
        twin.step(grads)
        with FullyShardedDataParallel.summon_full_params(wrapped):
            twin.equals(named(module), {}, step)
    how = StateDictOptions(full_state_dict=True)
    states: Any = get_optimizer_state_dict(wrapped, optimizer, options=how)["state"]
    for name, state in states.items():
        twin.state_equals(name, state, STEPS - 1)
    assert states.keys() == twin.params.keys()


def gradients_of_other_placements() -> None:
    """A gradient that is a partial sum, whole, or cut elsewhere is brought to its parameter's."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    whole = torch.arange(24.0).reshape(4, 6)
    for placement in (Shard(0), Replicate()):
        param = distribute_tensor(torch.ones(4, 6), mesh, [placement])
        mine = distribute_tensor(whole, mesh, [placement]).to_local()
        summand = whole / dist.get_world_size()  # a power of two: the sum is exact
        for grad in (
            DTensor.from_local(summand, mesh, [Partial()]),
            distribute_tensor(whole, mesh, [Replicate()]),
            distribute_tensor(whole, mesh, [Shard(1)]),
            distribute_tensor(whole, mesh, [Shard(0)]),
        ):
            assert torch.equal(local(grad, param), mine), (placement, grad.placements)
