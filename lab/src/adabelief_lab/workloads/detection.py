"""Faster-RCNN on PASCAL VOC: the detection experiment of Yuan & Gao 2020 (EAdam)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from adabelief_lab.common.errors import LabError
from adabelief_lab.data import voc
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload
from adabelief_lab.optimizers.published_vision import DETECTION

Pictures = tuple[voc.Picture, ...]
Splits = Mapping[Split | Literal["train"], Pictures]

# Of the train images in their list's order, every tenth tunes where a preset tunes.
_VALID_EVERY = 10


class Options(BaseModel):
    """What a preset may set for this workload.

    Args:
        data: which images.
        reduced: the small network, for images of 200 × 200.
        hold_out: tune on train images that are not trained on; else the test images tune.
        batch_size: images a step.
        precision: "bfloat16" for torch.autocast.
        clip_norm: largest norm of all gradients together.
        backbone_weights: file of a state dict of torchvision's resnet50 to begin with, of
            ImageNet, say; else the backbone begins at random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: voc.Name
    reduced: bool = False
    hold_out: bool = True
    batch_size: int = Field(default=2, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    clip_norm: float | None = Field(default=None, gt=0)
    backbone_weights: Path | None = None


def build(preset: Preset, init_seed: int, data_seed: int) -> Task:
    """The task of one run; the global random state is left as it was."""
    from adabelief_lab.models.detection import (  # noqa: PLC0415, torchvision
        faster_rcnn,
        small_faster_rcnn,
    )
    from adabelief_lab.tasks.detection import Detection  # noqa: PLC0415, pycocotools

    options = Options.model_validate(preset.options)
    if options.reduced and options.backbone_weights:
        msg = "backbone_weights are a ResNet50's: reduced must be false, got true"
        raise LabError(msg)
    splits, classes = load_splits(options.data, hold_out=options.hold_out)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        if options.reduced:
            model = small_faster_rcnn(classes)
        else:
            model = faster_rcnn(classes, options.backbone_weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Detection(
        model.to(device),
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        batch_size=options.batch_size,
        data_seed=data_seed,
        precision=options.precision,
        clip_norm=options.clip_norm,
    )


@lru_cache(maxsize=2)
def load_splits(data: voc.Name, *, hold_out: bool) -> tuple[Splits, int]:
    """Pictures by split, and the number of classes; cached because a process makes many runs.

    Without `hold_out` all train images are trained on and the test images stand for the
    validation ones, as the authors did.
    """
    source = voc.load(data)
    train, valid = divided(source.train) if hold_out else (source.train, source.test)
    return {"train": train, "valid": valid, "test": source.test}, len(source.classes)


def divided(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Those to train on and, every tenth of the list and at least the last, those that tune."""
    tuning = range(len(pictures))[_VALID_EVERY - 1 :: _VALID_EVERY] or [len(pictures) - 1]
    return (
        tuple(each for place, each in enumerate(pictures) if place not in tuning),
        tuple(pictures[place] for place in tuning),
    )


_BATCH = 2
_EPOCHS = 12
# Trained on as a whole by the authors; of 2012 alone, without the tenth that tunes.
_EPOCH = voc.images("voc0712") // _BATCH
_TUNED_EPOCH = (voc.images("voc2012") - voc.images("voc2012") // _VALID_EVERY) // _BATCH
_TREES_EPOCH = voc.images("trees") // _BATCH
# Their configuration: three times the images in each of 4 epochs, one decay after 3 of them.
_ONE_DECAY = Schedule(kind="step", milestones=(0.75,))
_QUICK_EPOCHS = 6
_TREES = {"data": "trees", "reduced": True, "hold_out": False}

workload = Workload(
    name="detection-fasterrcnn",
    build=build,
    metrics=(
        Metric(name="map50", direction="max", label="mAP at IoU 0.5", percent=True),
        Metric(name="recall", direction="max", label="recall at IoU 0.5", percent=True),
    ),
    primary="map50",
    presets={
        "full": Preset(
            steps=_EPOCHS * _TUNED_EPOCH, eval_every=_TUNED_EPOCH, trials=7, seeds=5,
            search="space", options={"data": "voc2012"},
        ),
        "authors": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH, trials=1, seeds=3, search="published",
            schedule=_ONE_DECAY, options={"data": "voc0712", "hold_out": False},
            watermark="backbone begun at random: theirs was trained on ImageNet",
        ),
        "quick": Preset(
            steps=_QUICK_EPOCHS * _TREES_EPOCH, eval_every=2 * _TREES_EPOCH, trials=1, seeds=3,
            search="published", schedule=_ONE_DECAY, options=_TREES,
            watermark=(
                f"not VOC: aerial photographs of trees, a small network, {_QUICK_EPOCHS} epochs"
            ),
        ),
        "smoke": Preset(
            steps=6, eval_every=2, trials=2, seeds=2, schedule=_ONE_DECAY,
            options={"data": "trees", "reduced": True},
            watermark="not VOC: a few steps on photographs of trees, to try the program",
        ),
    },
    published=DETECTION,
    options=Options,
    title="PASCAL VOC, Faster-RCNN with a feature pyramid",
    data=(
        "authors: PASCAL VOC 2007 and 2012 (Everingham et al. 2010), trained on trainval of both "
        "and tested on test of 2007; full: train and val of 2012. Shorter side 600 pixels, the "
        "longer at most 1000; half of the train images are mirrored; difficult objects are not "
        "trained on and do not count. Images, epochs and the one decay are those of EAdam's "
        "configuration for mmdetection, batch 2 is the paper's; torchvision's Faster-RCNN stands "
        "for mmdetection's. Their backbone had been trained on ImageNet: the option "
        "backbone_weights takes such a file. quick and smoke: aerial photographs of trees with "
        "hand-drawn boxes out of deepforest 2.1.0 (MIT, Ben Weinstein), sha256 "
        f"{voc.EMBEDDED_SHA256}. Where a preset "
        "tunes, every tenth train image tunes and is not trained on."
    ),
    files=lambda options: [Path(given)] if (given := options.get("backbone_weights")) else [],
)  # fmt: skip
