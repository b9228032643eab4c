"""Fashion-MNIST with a small convolutional network: minutes on two CPU cores, on real images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from adabelief_lab.data import fashion_mnist
from adabelief_lab.data.held_out import last_of_each_class
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.tasks.supervised import CLASSIFICATION, Supervised

# The last fifth of each class, in file order, tunes and is never trained on.
_ONE_IN = 5


class Options(BaseModel):
    """What a preset may set for this workload."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: fashion_mnist.Source = "embedded"
    batch_size: int = Field(ge=1)
    width: int = Field(ge=1)


def network(width: int) -> nn.Sequential:
    """Two convolutions and two linear layers: images (n, 1, 28, 28) -> logits (n, 10)."""
    layers = nn.Sequential(
        nn.Conv2d(1, width, kernel_size=5, stride=2, padding=2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * 7 * 7, 4 * width),
        nn.ReLU(),
        nn.Linear(4 * width, len(fashion_mnist.CLASSES)),
    )
    # A fifth quicker than the plain layout on one CPU thread.
    return layers.to(memory_format=torch.channels_last)


def build(preset: Preset, init_seed: int, data_seed: int) -> Supervised:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    splits = load_splits(options.data)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        model = network(options.width)
    return Supervised(
        model,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        batch_size=options.batch_size,
        data_seed=data_seed,
    )


@lru_cache(maxsize=1)
def load_splits(source: fashion_mnist.Source) -> dict[str, tuple[Tensor, Tensor]]:
    """Images (n, 1, 28, 28) float32, standardised by the training part, and labels int64.

    Cached because a process makes many runs; nobody may write to these tensors.
    """
    data = fashion_mnist.load(source)
    held_out = last_of_each_class(data.train_labels, _ONE_IN)
    train = data.train_images[~held_out]
    mean, std = float(train.mean()), float(train.std())

    def pair(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        inputs = (torch.from_numpy(images).float() - mean) / std
        return inputs.unsqueeze(1), torch.from_numpy(labels).long()

    return {
        "train": pair(train, data.train_labels[~held_out]),
        "valid": pair(data.train_images[held_out], data.train_labels[held_out]),
        "test": pair(data.test_images, data.test_labels),
    }


_REDUCED = "reduced data: 10,000 of 60,000 Fashion-MNIST images, short schedule"

workload = Workload(
    name="fashion-mnist",
    build=build,
    options=Options,
    metrics=CLASSIFICATION,
    primary="accuracy",
    presets={
        "quick": Preset(
            steps=480,
            eval_every=60,
            trials=5,
            seeds=8,
            options={"data": "embedded", "batch_size": 64, "width": 16},
            watermark=_REDUCED,
        ),
        "smoke": Preset(
            steps=40,
            eval_every=10,
            trials=2,
            seeds=2,
            options={"data": "embedded", "batch_size": 32, "width": 4},
            watermark=_REDUCED,
        ),
        # 10 epochs of 48,000 images: a minute a run on one CPU thread. The folder is in the
        # environment, not in the run's key, because these are Zalando's files to the last byte
        # or an error.
        "full": Preset(
            steps=3750,
            eval_every=375,
            trials=7,
            seeds=10,
            options={"data": "full", "batch_size": 128, "width": 16},
        ),
        # The same with the search of Zhuang et al. 2020 and their three runs.
        "paper": Preset(
            steps=3750,
            eval_every=375,
            trials=25,
            seeds=3,
            search="paper",
            options={"data": "full", "batch_size": 128, "width": 16},
        ),
    },
    title="Fashion-MNIST, small convolutional network",
    data=(
        "Fashion-MNIST (Zalando SE, 2017, MIT licence). The last fifth of each class of the train "
        "images tunes and is not trained on; the test images are for final runs only. sha256 of "
        f"what quick and smoke read: {fashion_mnist.EMBEDDED} {fashion_mnist.EMBEDDED_SHA256}; of "
        "what the others read, unpacked: "
        + ", ".join(f"{name} {digest}" for name, digest in fashion_mnist.OFFICIAL_SHA256.items())
        + ". Other files are refused."
    ),
)
