"""What training goes on from: states of modules, optimizers, task and random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from adabelief_lab.common.rng import capture, restore
from adabelief_lab.declare.workload import Task


def capture_state(task: Task, optimizers: Mapping[str, Optimizer]) -> dict[str, Any]:
    """The state as it is; its tensors are those that training goes on to change."""
    return {
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "task": task.state_dict(),
        "random": capture(),
    }


def restore_state(
    state: Mapping[str, Any], task: Task, optimizers: Mapping[str, Optimizer]
) -> None:
    """Put back what `snapshot` returned, into a task that was built anew."""
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    task.load_state_dict(state["task"])
    # Last: building the task drew random numbers that the first time were drawn long ago.
    restore(state["random"])
