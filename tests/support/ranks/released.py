"""Gradient release in many processes; `launch.run` starts them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from adabelief import AdaBelief, release_gradients
from adabelief.gradient_release import AVERAGE, ReleasedGradient
from ranks.jobs import Block, shard, share, two_groups
from ranks.twin import LOSS, batch, model

STEPS = 8
Make = Callable[[], nn.Module]


def averaged_later() -> None:
    """Replicas average gradients after the hook."""
    wrapped: nn.Module = DistributedDataParallel(model())
    with pytest.raises(ValueError, match=r"DistributedDataParallel.*fully_shard does it before"):
        release_gradients(wrapped, AdaBelief(wrapped.parameters()))
    with pytest.raises(ValueError, match="DistributedDataParallel"):
        release_gradients(nn.Sequential(wrapped), AdaBelief(wrapped.parameters()))
    warnings.filterwarnings("ignore", "FSDP is switching to use `NO_SHARD`", UserWarning)
    warnings.filterwarnings("ignore", "FullyShardedDataParallel", FutureWarning)
    flat = FullyShardedDataParallel(model(), device_id=torch.device("cpu"))
    with pytest.raises(ValueError, match="must not be a FullyShardedDataParallel"):
        release_gradients(flat, AdaBelief(flat.parameters()))
    ways: list[Mapping[str, Any]] = [
        {},
        {"gradient_as_bucket_view": True},
        {"static_graph": True},
    ]
    for way in ways:  # the module inside knows nothing of its wrapper; the placeholder meets it
        inside = model()
        wrapped = DistributedDataParallel(inside, **way)
        release_gradients(inside, AdaBelief(inside.parameters()))
        with pytest.raises(RuntimeError, match=re.escape(AVERAGE)):
            LOSS(wrapped(torch.ones(2, 3)), torch.ones(2, 1)).backward()
    by_hand = model()
    release_gradients(by_hand, AdaBelief(by_hand.parameters()))
    LOSS(by_hand(torch.ones(2, 3)), torch.ones(2, 1)).backward()
    for param in by_hand.parameters():
        assert param.grad is not None
        with pytest.raises(RuntimeError, match=re.escape(AVERAGE)):
            dist.all_reduce(param.grad)


def compare(make: Make, options: Mapping[str, Any], accumulate: int = 1) -> None:
    """Train the same sharded model twice, one of them released; all ranks do both."""
    released, usual = make(), make()
    ours, theirs = (two_groups(module.parameters(), options) for module in (released, usual))
    release_gradients(released, ours)
    for step in range(STEPS):
        for module, optimizer in ((released, ours), (usual, theirs)):
            optimizer.zero_grad()
            for part in range(accumulate):
                if accumulate > 1:
                    last = part == accumulate - 1
                    module.set_requires_gradient_sync(last)  # type: ignore[operator]
                inputs, targets = batch(accumulate * step + part)
                LOSS(module(share(inputs)), share(targets)).backward()
            if module is released:
                kinds = {type(param.grad) for param in module.parameters()}
                assert kinds == {ReleasedGradient}
            optimizer.step()
        for param, twin in zip(released.parameters(), usual.parameters(), strict=True):
            same(param, twin)
            assert ours.state[param].keys() == theirs.state[twin].keys()
            for key, value in theirs.state[twin].items():
                same(ours.state[param][key], value)


def same(got: Tensor, truth: Tensor) -> None:
    """Equal bit for bit on this rank."""
    assert type(got) is type(truth)
    mine, theirs = (each.to_local() if hasattr(each, "to_local") else each for each in (got, truth))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def fully_sharded(options: Mapping[str, Any], accumulate: int) -> None:
    def make() -> nn.Module:
        module = model()
        shard(module)
        return module

    compare(make, options, accumulate)


def fully_sharded_twice() -> None:
    """A second backward before step() meets FSDP's own check, which names the placeholder."""
    module = model()
    shard(module)
    optimizer = AdaBelief(module.parameters())
    release_gradients(module, optimizer)
    for inputs, targets in (batch(0), batch(1)):
        LOSS(module(inputs), targets).backward()
        optimizer.step()
    LOSS(module(inputs), targets).backward()
    with pytest.raises(AssertionError, match="ReleasedGradient"):
        LOSS(module(inputs), targets).backward()


def tensor_parallel() -> None:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))

    def make() -> nn.Module:
        torch.manual_seed(0)
        plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
        return parallelize_module(Block(), mesh, plan)

    compare(make, {})
