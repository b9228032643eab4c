"""Save a training by some processes, go on with it by others; `launch.run` starts both halves."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import StepLR

from adabelief import AdaBelief
from ranks.jobs import Options, assert_sharded, plain, shard, share, two_groups
from ranks.twin import Make, Twin, full, model, train

HALF = 5
Started = tuple[nn.Module, AdaBelief, Twin]


def make_of(options: Options) -> Make:
    return partial(two_groups, options=options)


def start(options: Options) -> Started:
    """Sharded if there are several ranks."""
    module = model()
    twin = Twin(module, make_of(options))
    if dist.get_world_size() > 1:
        shard(module)
    return module, make_of(options)(module.parameters()), twin


def elsewhere(options: Options) -> Started:
    """The same model with other parameters and an optimizer with other options."""
    module, optimizer, twin = start(options)
    with torch.no_grad():
        for param in module.parameters():
            param.add_(1)
    for group in optimizer.param_groups:
        group.update(lr=9.0, eps=1.0, betas=(0.1, 0.2), weight_decay=0.7, rectify=True)
        group.update({key: None for key in ("feasible_set",) if key in group})
    return module, optimizer, twin


def write(twin: Twin, file: Path) -> None:
    if dist.get_rank() == 0:
        torch.save(twin.history, file)


def read(twin: Twin, file: Path) -> None:
    """The twin never stopped: it takes all its steps again, and nothing of ours is loaded."""
    for grads in torch.load(file, weights_only=True):
        twin.step(grads)


def save(folder: Path, options: Options, flatten: bool) -> None:
    """Train, then write with torch.distributed.checkpoint, every rank its shards."""
    module, optimizer, twin = start(options)
    train(module, optimizer, twin, range(HALF), share=share)
    how = StateDictOptions(flatten_optimizer_state_dict=flatten)
    state_dict_saver.save(
        {
            "model": get_model_state_dict(module),
            "optimizer": get_optimizer_state_dict(module, optimizer, options=how),
        },
        checkpoint_id=folder / "checkpoint",
    )
    write(twin, folder / "gradients.pt")


def resume(folder: Path, options: Options, flatten: bool) -> None:
    """Read what `save` wrote, on however many ranks, and go on."""
    module, optimizer, twin = elsewhere(options)
    read(twin, folder / "gradients.pt")
    how = StateDictOptions(flatten_optimizer_state_dict=flatten)
    state: dict[str, Any] = {
        "model": get_model_state_dict(module),
        "optimizer": get_optimizer_state_dict(module, optimizer, options=how),
    }
    state_dict_loader.load(state, checkpoint_id=folder / "checkpoint")
    set_model_state_dict(module, state["model"])
    set_optimizer_state_dict(module, optimizer, state["optimizer"], options=how)
    go_on(module, optimizer, twin)


def go_on(module: nn.Module, optimizer: AdaBelief, twin: Twin) -> None:
    """The state is the twin's now, and still after some more steps."""
    twin.equals(dict(module.named_parameters()), optimizer.state, HALF - 1)
    for group, truth in zip(optimizer.param_groups, twin.optimizer.param_groups, strict=True):
        # By their text: a feasible set has no ==, and torch's broadcast makes a list of a tuple.
        group["betas"] = tuple(group["betas"])
        texts = [{k: repr(v) for k, v in g.items() if k != "params"} for g in (group, truth)]
        assert texts[0] == texts[1]
    train(module, optimizer, twin, range(HALF, 2 * HALF), share=share)
    if dist.get_world_size() > 1:
        assert_sharded(module, optimizer)


def save_whole(folder: Path, options: Options) -> None:
    """Train, then write one file with whole tensors."""
    module, optimizer, twin = start(options)
    train(module, optimizer, twin, range(HALF), share=share)
    how = StateDictOptions(full_state_dict=True, cpu_offload=True)
    states = (
        get_model_state_dict(module, options=how),
        get_optimizer_state_dict(module, optimizer, options=how),
    )
    if dist.get_rank() == 0:
        torch.save(states, folder / "whole.pt")
    write(twin, folder / "gradients.pt")


def resume_whole(folder: Path, options: Options) -> None:
    """Rank 0 reads the file and sends everybody his part."""
    module, optimizer, twin = elsewhere(options)
    read(twin, folder / "gradients.pt")
    module_state: dict[str, Any] = {}
    optimizer_state: dict[str, Any] = {}
    if dist.get_rank() == 0:
        module_state, optimizer_state = torch.load(folder / "whole.pt", weights_only=True)
    how = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(module, module_state, options=how)
    set_optimizer_state_dict(module, optimizer, optimizer_state, options=how)
    go_on(module, optimizer, twin)


def fresh_state_is_made_without_moving(options: Options) -> None:
    """For its template torch takes a step of its own, with zero gradients and lr 0."""
    module, optimizer, _ = start(options)
    before = [full(param) for param in module.parameters()]
    state: Any = get_optimizer_state_dict(module, optimizer)["state"]
    for param, value in zip(module.parameters(), before, strict=True):
        assert torch.equal(full(param), value)
    for kept in state.values():
        for value in kept.values():
            assert torch.isfinite(full(value)).all()


def fixed_decay_and_set_state_dict() -> None:
    """torch's own step shrinks the parameters here, and `set_state_dict` loads the model last."""
    options = {"fixed_decay": True}
    module, optimizer, twin = start(options)
    train(module, optimizer, twin, range(HALF), share=share)
    # Copies: some of what get_state_dict returns is shared with the model.
    states = copy.deepcopy(get_state_dict(module, optimizer))
    module, optimizer, _ = elsewhere(options)
    set_state_dict(module, optimizer, model_state_dict=states[0], optim_state_dict=states[1])
    go_on(module, optimizer, twin)


def zero_redundancy(folder: Path, options: Options, way: Options, grouped: bool) -> None:
    """ZeRO: train with a schedule, consolidate on rank 0, resume everywhere, train on."""
    warnings.filterwarnings("ignore", "`TorchScript` support for functional optim", UserWarning)
    module = model()
    make = make_of(options) if grouped else plain(options)
    twin = Twin(module, make)
    parallel = DistributedDataParallel(module)

    def zero() -> tuple[ZeroRedundancyOptimizer, StepLR]:
        groups: Any = list(parallel.parameters())
        if grouped:
            template = two_groups(groups, options).param_groups
            own = ("params", "weight_decay", "lr", "amsgrad")
            groups = [{key: group[key] for key in own} for group in template]
        settings = dict(plain(options).keywords)  # type: ignore[attr-defined]
        made = ZeroRedundancyOptimizer(groups, AdaBelief, **way, **settings)
        return made, StepLR(made, 2, 0.5)

    optimizer, schedule = zero()
    truths = StepLR(twin.optimizer, 2, 0.5)
    for first in (0, HALF):
        for step in range(first, first + HALF):
            train(parallel, optimizer, twin, [step], share=share)
            schedule.step()
            truths.step()
        held = torch.tensor([param in optimizer.optim.state for param in module.parameters()])
        dist.all_reduce(count := held.int())
        assert count.tolist() == [1] * len(held), "every parameter has one owner"
        optimizer.consolidate_state_dict(to=0)
        if dist.get_rank() == 0:
            whole = optimizer.state_dict()
            assert_states_equal(whole["state"], twin.optimizer.state_dict()["state"])
            torch.save(whole, folder / "zero.pt")
        dist.barrier()
        kept = copy.deepcopy(schedule.state_dict())
        optimizer, schedule = zero()
        optimizer.load_state_dict(torch.load(folder / "zero.pt", weights_only=True))
        schedule.load_state_dict(kept)


def assert_states_equal(got: Any, truth: Any) -> None:
    assert got.keys() == truth.keys()
    for index, state in truth.items():
        assert got[index].keys() == state.keys()
        for key, value in state.items():
            assert isinstance(value, Tensor)
            assert torch.equal(got[index][key], value), (index, key)
