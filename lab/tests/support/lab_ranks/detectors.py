"""A detector trained by several processes, each beside its twin in one; `launch.run` starts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.optim import SGD, Optimizer

from adabelief_lab.declare.workload import Parallel
from adabelief_lab.tasks.detection import Detection
from adabelief_lab.workloads import WORKLOADS

STEPS = 2
LR = 0.01


def made() -> tuple[Detection, Mapping[str, Optimizer]]:
    workload = WORKLOADS["detection-fasterrcnn"]
    task = cast("Detection", workload.build(workload.presets["smoke"], 0, 1))
    return task, {"model": SGD(task.modules["model"].parameters(), lr=LR)}


def mean_of_the_parts(parallel: Parallel) -> None:
    """Every process's proposals are its own: the twin draws each part's as its process did."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    task, (twin, twins) = made()[0], made()
    task.parallelize(parallel)
    optimizers = {"model": SGD(task.modules["model"].parameters(), lr=LR)}
    for step in range(STEPS):
        torch.manual_seed(10 * step + rank)
        loss = task.step(step, optimizers)["loss"]
        images, targets = twin.batch(step)
        expected = torch.zeros(())
        twins["model"].zero_grad()
        for part in range(ranks):
            torch.manual_seed(10 * step + part)
            losses = twin.modules["model"](images[part::ranks], targets[part::ranks])
            mean = torch.stack(list(losses.values())).sum() / ranks
            mean.backward()
            expected += mean.detach()
        twins["model"].step()
        # Halves are exact, and two numbers have one sum.
        assert torch.equal(loss, expected)
        for name, weight in task.modules["model"].state_dict().items():
            whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
            assert torch.equal(whole, twin.modules["model"].state_dict()[name]), (step, name)
    assert task.evaluate("valid") == twin.evaluate("valid")
