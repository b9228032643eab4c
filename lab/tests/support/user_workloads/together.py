"""Workloads for several processes a run, in float64 so that the order of sums hardly matters.

ADABELIEF_TEST_PAUSE slows each step, in seconds.
"""

import os
import signal
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.common.process_group import joined
from adabelief_lab.data import fashion_mnist
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.tasks.supervised import CLASSIFICATION, Supervised


class Together(Supervised):
    fault = ""

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        time.sleep(float(os.environ.get("ADABELIEF_TEST_PAUSE", "0")))
        if self.fault and index == 5 and joined().rank == 1:  # the other one waits for it
            if self.fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            msg = "only here"
            raise RuntimeError(msg)
        return super().step(index, optimizers)


def build(preset: Preset, init_seed: int, data_seed: int) -> Together:
    data = fashion_mnist.load("embedded")
    images = torch.from_numpy(data.train_images[::20]).double().flatten(1) / 255
    labels = torch.from_numpy(data.train_labels[::20]).long()
    torch.manual_seed(init_seed)
    between = (nn.BatchNorm1d(8), nn.Dropout(0.2)) if preset.options.get("noisy") else ()
    model = nn.Sequential(nn.Linear(784, 8), *between, nn.ReLU(), nn.Linear(8, 10)).double()
    task = Together(
        model,
        train=(images[:300], labels[:300]),
        valid=(images[300:400], labels[300:400]),
        test=(images[400:], labels[400:]),
        batch_size=16,
        data_seed=data_seed,
    )
    task.fault = preset.options.get("fault", "")
    return task


def named(name: str, **options: object) -> Workload:
    presets = {"smoke": Preset(steps=12, eval_every=2, trials=1, seeds=1, options=options)}
    return Workload(name, build, CLASSIFICATION, "accuracy", presets)


exact, noisy = named("exact"), named("noisy", noisy=True)
raises, killed = named("raises", fault="raises"), named("killed", fault="killed")
