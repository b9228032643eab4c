"""ImageNet with ResNet18: Table 2 of Zhuang et al. 2020."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from adabelief_lab.common.errors import needs_extra
from adabelief_lab.common.num_workers import num_workers
from adabelief_lab.data import imagenet
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.optimizers.published_vision import IMAGENET
from adabelief_lab.tasks.augment import standardized
from adabelief_lab.tasks.single_model import Precision
from adabelief_lab.tasks.streaming import StreamingClassifier
from adabelief_lab.tasks.supervised import CLASSIFICATION

# Means and deviations of ImageNet's pixels, as in torchvision's and the authors' scripts.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The authors' sizes: evaluation takes the middle 224 of the shorter side's 256 pixels.
_SIZE, _RESIZED = 224, 256

# Of each class of the train images, the last tenth tunes where a preset tunes.
_VALID_SHARE = 10

_BATCH = 256
_EPOCHS = 90
# Whole batches; the authors' script trains on the 143 images left of an epoch too.
_EPOCH = imagenet.TRAIN // _BATCH
# Without the tenth that tunes. Tenths of a class are rounded down, which is no whole batch.
_TUNED_EPOCH = imagenet.TRAIN * (_VALID_SHARE - 1) // _VALID_SHARE // _BATCH


class Options(BaseModel):
    """What a preset may set for this workload.

    Args:
        whole: insist on all of ImageNet 2012; otherwise any images in folders by class do.
        image_size: pixels of a side that the network sees.
        hold_out: tune on a tenth of each class of train, and do not train on it; otherwise train
            on all, and val stands for the validation images, as it did for the authors.
        batch_size: images a step, of all processes together.
        precision: see `StreamingClassifier`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    whole: bool = True
    image_size: int = Field(default=_SIZE, ge=32)
    hold_out: bool = True
    batch_size: int = Field(default=_BATCH, ge=1)
    precision: Precision = "float32"


def build(preset: Preset, init_seed: int, data_seed: int) -> StreamingClassifier:
    """The task of one run; the global random state is left as it was."""
    with needs_extra("ImageNet's network", "torchvision", "vision"):
        from torchvision.models import resnet18  # noqa: PLC0415, an extra
    options = Options.model_validate(preset.options)
    data = imagenet.load(whole=options.whole)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        model = resnet18(num_classes=data.classes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train, valid, test = splits(data, options)
    return StreamingClassifier(
        model.to(device).to(memory_format=torch.channels_last),
        train=train,
        valid=valid,
        test=test,
        batch_size=options.batch_size,
        data_seed=data_seed,
        prepare=partial(standardized, mean=_MEAN, std=_STD, device=device),
        precision=options.precision,
        num_workers=num_workers(),
    )


def splits(
    data: imagenet.ImageNet, options: Options
) -> tuple[imagenet.Images, imagenet.Images, imagenet.Images]:
    """Images to train on, to tune on and to test on, as bytes (3, image_size, image_size)."""
    changed, looked_at = transforms(options.image_size)
    every = np.ones(len(data.train), dtype=bool)
    held = imagenet.held_out(data.train, _VALID_SHARE) if options.hold_out else ~every
    test = imagenet.Images(data.val, np.arange(len(data.val)), looked_at)
    valid = imagenet.Images(data.train, np.flatnonzero(held), looked_at)
    train = imagenet.Images(data.train, np.flatnonzero(~held), changed)
    return train, valid if options.hold_out else test, test


def transforms(size: int) -> tuple[Callable[[Any], Tensor], Callable[[Any], Tensor]]:
    """What is done to a PIL image in training, and in evaluation."""
    from torchvision.transforms import v2  # noqa: PLC0415, an extra

    resized = round(size * _RESIZED / _SIZE)
    return (
        v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), v2.PILToTensor()]),
        v2.Compose([v2.Resize(resized), v2.CenterCrop(size), v2.PILToTensor()]),
    )


# Decays to a tenth before epochs 70 and 80 of 90, counted from 0.
_LATE = Schedule(kind="step", milestones=(70 / _EPOCHS, 80 / _EPOCHS))

# Steps are epochs of ImageNet's images, whatever the folder has; `whole` sees that it is ImageNet.
PRESETS = {
    # On nine tenths like those that tune, so that final runs are of what was tuned.
    "full": Preset(
        steps=_EPOCHS * _TUNED_EPOCH, eval_every=_TUNED_EPOCH, trials=7, seeds=5, search="space",
    ),
    "paper": Preset(
        steps=_EPOCHS * _TUNED_EPOCH, eval_every=_TUNED_EPOCH, trials=25, seeds=3, search="paper",
        schedule=_LATE,
    ),
    # What their code did: no validation images; the other settings of Table 2 are not theirs.
    "authors": Preset(
        steps=_EPOCHS * _EPOCH, eval_every=_EPOCH, trials=1, seeds=3, search="published",
        schedule=_LATE, options={"hold_out": False},
    ),
    "quick": Preset(
        steps=450, eval_every=50, trials=1, seeds=3, search="published", schedule=_LATE,
        options={"whole": False, "image_size": 64, "batch_size": 32, "hold_out": False},
        watermark=(
            "reduced: 450 batches of 32 images of 64 pixels, of whatever images the folder has"
        ),
    ),
    "smoke": Preset(
        steps=6, eval_every=2, trials=2, seeds=2, schedule=_LATE,
        options={"whole": False, "image_size": 32, "batch_size": 8},
        watermark="a few steps on whatever images the folder has, to try the program",
    ),
}  # fmt: skip

workload = Workload(
    name="imagenet-resnet18",
    build=build,
    metrics=CLASSIFICATION,
    primary="accuracy",
    presets=PRESETS,
    published=IMAGENET,
    options=Options,
    title="ImageNet, ResNet18",
    data=(
        f"ImageNet 2012 (Russakovsky et al. 2015), the folders train and val in the folder that "
        f"{imagenet.VARIABLE} names; their files are counted, not compared with anybody's. Random "
        f"crops of 8 % to 100 % of an image, resized to {_SIZE} pixels, and mirroring; evaluation "
        f"takes the middle {_SIZE} of {_RESIZED}. An epoch is {imagenet.TRAIN:,} images, or the "
        "nine tenths that do not tune, in whole batches. Where a preset tunes, the last tenth of "
        "each class of train tunes and is not trained on; authors and quick train on all of it. "
        "Final runs are tested on val."
    ),
)
