"""ImageNet's path with small networks. ADABELIEF_TEST_PAUSE slows each step, in seconds."""

import os
import time
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.common.num_workers import num_workers
from adabelief_lab.data import imagenet
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.tasks.streaming import StreamingClassifier
from adabelief_lab.tasks.supervised import CLASSIFICATION
from adabelief_lab.workloads.imagenet import Options, splits

SIZE, BATCH = 32, 8


class Photographs(StreamingClassifier):
    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        time.sleep(float(os.environ.get("ADABELIEF_TEST_PAUSE", "0")))
        return super().step(index, optimizers)


def numbers(images: Tensor, dtype: torch.dtype) -> Tensor:
    return images.to(dtype) / 255


def make(init_seed: int, data_seed: int, *, noisy: bool) -> Photographs:
    """In float64, so that the order of sums hardly matters; noisy: batch statistics, dropout."""
    options = Options(whole=False, image_size=SIZE, batch_size=BATCH)
    data = imagenet.load(whole=False)
    torch.manual_seed(init_seed)
    between = (nn.BatchNorm2d(4), nn.Dropout(0.2)) if noisy else ()
    model = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=4), *between, nn.ReLU(), nn.Flatten(), nn.Linear(196, 3)
    )
    train, valid, test = splits(data, options)
    return Photographs(
        model.double(),
        train=train,
        valid=valid,
        test=test,
        batch_size=BATCH,
        data_seed=data_seed,
        prepare=partial(numbers, dtype=torch.float64),
        num_workers=num_workers(),
    )


def build(preset: Preset, init_seed: int, data_seed: int) -> Photographs:
    return make(init_seed, data_seed, noisy=preset.options["noisy"])


def named(name: str, *, noisy: bool) -> Workload:
    presets = {"smoke": Preset(steps=12, eval_every=2, trials=1, seeds=1, options={"noisy": noisy})}
    return Workload(name, build, CLASSIFICATION, "accuracy", presets)


exact, noisy = named("exact", noisy=False), named("noisy", noisy=True)
