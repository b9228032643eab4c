"""A workload of seconds for the tests of the lab: real images, dropout, NumPy noise, two modules.

A resumed run could get all of it wrong: the global random states of torch, NumPy and Python,
two optimizers, and state of the task's own. ADABELIEF_TEST_PAUSE slows each step, in seconds.
"""

import os
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.data import fashion_mnist
from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload


class Tiny(Task):
    def __init__(self, init_seed: int, data_seed: int, poison: int) -> None:
        data = fashion_mnist.load("embedded")
        images = torch.from_numpy(data.train_images[::20]).float().flatten(1) / 255
        labels = torch.from_numpy(data.train_labels[::20]).long()
        self.train = images[:300], labels[:300]
        self.splits = {
            "valid": (images[300:400], labels[300:400]),
            "test": (images[400:], labels[400:]),
        }
        torch.manual_seed(init_seed)
        body = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Dropout(0.2))
        self.modules = {"body": body, "head": nn.Linear(8, 10)}
        self.data_seed, self.poison = data_seed, poison
        self.seen = 0

    def outputs(self, images: Tensor) -> Tensor:
        return self.modules["head"](self.modules["body"](images))

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        time.sleep(float(os.environ.get("ADABELIEF_TEST_PAUSE", "0")))
        order = torch.Generator().manual_seed(self.data_seed * 1000 + index)
        batch = torch.randint(len(self.train[0]), (16,), generator=order)
        noise = torch.from_numpy(np.random.standard_normal((16, 784))).float()  # noqa: NPY002
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        outputs = self.outputs(random.uniform(0.9, 1.1) * self.train[0][batch] + 0.1 * noise)
        loss = nn.functional.cross_entropy(outputs, self.train[1][batch])
        if index + 1 == self.poison:
            loss = loss * float("nan")
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
        self.seen += len(batch)
        return {"loss": loss.detach()}

    def evaluate(self, split: Split) -> Mapping[str, float]:
        images, labels = self.splits[split]
        for module in self.modules.values():
            module.eval()
        with torch.no_grad():
            outputs = self.outputs(images)
        for module in self.modules.values():
            module.train()
        correct = (outputs.argmax(1) == labels).float().mean().item()
        return {"accuracy": correct, "seen": float(self.seen)}

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


def build(preset: Preset, init_seed: int, data_seed: int) -> Tiny:
    return Tiny(init_seed, data_seed, preset.options.get("poison", 0))


METRICS = (
    Metric(name="accuracy", direction="max", percent=True),
    Metric(name="seen", direction="max"),
)
PRESETS = {
    "smoke": Preset(steps=30, eval_every=3, trials=2, seeds=2),
    "poisoned": Preset(steps=12, eval_every=4, trials=2, seeds=2, options={"poison": 6}),
}
workload = Workload("tiny", build, METRICS, "accuracy", PRESETS, title="Tiny")
wrong_task = Workload("wrong-task", lambda *_: 3, METRICS, "accuracy", PRESETS)  # type: ignore[arg-type]
not_a_workload = 3
