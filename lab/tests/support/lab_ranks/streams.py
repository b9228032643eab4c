"""ImageNet's path trained by several processes, each beside one that trains alone."""

from __future__ import annotations

import os

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief_lab.data import imagenet
from adabelief_lab.tasks.streaming import StreamingClassifier
from user_workloads.photographs import make

STEPS = 6
# Sums of 8 float64 numbers in another order, and what six steps make of it.
TOLERANCE = 1e-12


def trained(task: StreamingClassifier) -> list[float]:
    """Losses of some steps."""
    optimizer = AdaBelief(task.modules["model"].parameters(), lr=1e-2)
    return [float(task.step(index, {"model": optimizer})["loss"]) for index in range(STEPS)]


def as_one(folder: str) -> None:
    """Together they see what one sees, in training and in evaluation."""
    os.environ[imagenet.VARIABLE] = folder
    together, alone = (make(1, 2, noisy=False) for _ in range(2))
    together.parallelize("ddp")
    assert len(together.batch(0)[1]) == 4
    assert trained(together) == pytest.approx(trained(alone), rel=TOLERANCE)
    for split in ("valid", "test"):
        expected = alone.evaluate(split)
        assert expected["accuracy"] < 1
        assert dict(together.evaluate(split)) == pytest.approx(expected, rel=TOLERANCE)


def the_first_ones_statistics(folder: str) -> None:
    """Batch statistics differ by process; an evaluation is of the first one's, and only looks."""
    os.environ[imagenet.VARIABLE] = folder
    together, alone = (make(1, 2, noisy=True) for _ in range(2))
    together.parallelize("ddp")
    trained(together)
    model = together.modules["model"]
    assert isinstance(model, nn.Sequential)
    own = model[1].running_mean
    assert isinstance(own, Tensor)
    first = own.clone()
    dist.broadcast(first, src=0)
    assert torch.equal(own, first) == (dist.get_rank() == 0)
    before = [each.clone() for each in model.state_dict().values()]
    states = [model.state_dict()]
    dist.broadcast_object_list(states, src=0)
    alone.modules["model"].load_state_dict(states[0])
    for split in ("valid", "test"):
        found, expected = together.evaluate(split), alone.evaluate(split)
        assert dict(found) == pytest.approx(expected, rel=TOLERANCE)
    assert all(map(torch.equal, before, model.state_dict().values()))
