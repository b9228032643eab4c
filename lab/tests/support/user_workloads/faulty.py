"""Workloads that hang, run out of memory, or are killed by the system: only with optimizer SGD."""

import os
import signal
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload


class Faulty(Task):
    def __init__(self, fault: str) -> None:
        self.modules = {"model": nn.Linear(1, 1)}
        self.fault = fault

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        optimizer = optimizers["model"]
        # Not in the rehearsal, which has lr = 0.
        if isinstance(optimizer, SGD) and index == 5 and optimizer.param_groups[0]["lr"] > 0:
            if self.fault == "hangs":
                time.sleep(3600)
            elif self.fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.fault == "python":
                raise MemoryError
            else:
                torch.empty(2**60)
        optimizer.zero_grad()
        loss = self.modules["model"](torch.ones(1, 1)).square().mean()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    def evaluate(self, split: Split) -> Mapping[str, float]:
        return {"loss": self.modules["model"](torch.ones(1, 1)).square().item()}


def build(preset: Preset, init_seed: int, data_seed: int) -> Faulty:
    torch.manual_seed(init_seed)
    return Faulty(preset.options["fault"])


def named(fault: str) -> Workload:
    presets = {"smoke": Preset(steps=9, eval_every=3, trials=2, seeds=2, options={"fault": fault})}
    return Workload(fault, build, (Metric(name="loss", direction="min"),), "loss", presets)


hangs, killed, python, allocator = map(named, ("hangs", "killed", "python", "allocator"))
