"""What the GANs of the paper share: images, how they are judged, and the presets' sizes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from adabelief_lab.data import fashion_mnist, small_images
from adabelief_lab.declare.workload import Split
from adabelief_lab.features import catalogue
from adabelief_lab.features.extractor import Name
from adabelief_lab.tasks.gan import GANTask, Objective, Turn
from adabelief_lab.tasks.gan_metrics import ImageQuality

Reference = Literal["train", "split"]
Part = Literal["train", "valid", "test"]


class Common(BaseModel):
    """What a preset of any of them may set.

    Args:
        data: which images, see `adabelief_lab.data.small_images.load`.
        hold_out: keep the last tenth of each class out of training, for valid.
        features: of what network distances are, see `adabelief_lab.features.catalogue.load`.
        reference: which real images generated ones are compared with: those that are trained on,
            as the authors do, or those of the split that is asked for.
        samples: generated images that are judged.
        replicates: drawn sets of the bootstrap.
        latent: numbers of a noise vector.
        batch_size: images a step.
        n_critic: steps of the critic to one of the generator.
        turn: the generator's, see `adabelief_lab.tasks.gan.Adversarial`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: small_images.Source
    hold_out: bool = True
    features: Name
    reference: Reference = "split"
    samples: int = Field(default=10_000, ge=2)
    replicates: int = Field(default=50, ge=2)
    latent: int = Field(default=100, ge=1)
    batch_size: int = Field(default=64, ge=2)
    n_critic: int = Field(default=5, ge=1)
    turn: Turn = "last"


def device() -> torch.device:
    """Where networks are trained."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def task(
    options: Common,
    networks: tuple[nn.Module, nn.Module],
    objective: Objective,
    data_seed: int,
    **more: Any,
) -> GANTask:
    """The task of these networks on the images that `options` name.

    Args:
        options: of the preset.
        networks: generator and critic.
        objective: what both minimise.
        data_seed: of order and noise.
        more: arguments of `GANTask` beyond the common ones.
    """
    splits = small_images.load(options.data, hold_out=options.hold_out)
    # WGAN and SN-GAN: a fifth quicker than the plain layout on one CPU thread.
    generator, critic = (
        network.to(device()).to(memory_format=torch.channels_last) for network in networks
    )
    return GANTask(
        (generator, critic), splits.train, partial(_image_quality, options), objective,
        latent=options.latent, batch_size=options.batch_size, data_seed=data_seed,
        samples=options.samples, n_critic=options.n_critic, turn=options.turn, **more,
    )  # fmt: skip


def _image_quality(options: Common, split: Split) -> ImageQuality:
    asked: Part = "train" if options.reference == "train" else split
    return _image_quality_of(
        options.data, options.hold_out, options.features, asked, options.samples,
        options.replicates,
    )  # fmt: skip


@lru_cache(maxsize=2)
def _image_quality_of(
    data: small_images.Source,
    hold_out: bool,
    features: Name,
    part: Part,
    samples: int,
    replicates: int,
) -> ImageQuality:
    """Kept because a process makes many runs."""
    splits = small_images.load(data, hold_out=hold_out)
    extractor = catalogue.load(features, device())
    return ImageQuality(
        extractor, getattr(splits, part).images, samples=samples, replicates=replicates
    )


# What all of them say of their data.
DATA = (
    "authors, paper and full: CIFAR-10 (Krizhevsky 2009), judged with the network of the Fréchet "
    "Inception Distance, whose weights are the user's file; quick and smoke: the 10,000 embedded "
    f"train images of Fashion-MNIST (Zalando SE, 2017, MIT licence; sha256 "
    f"{fashion_mnist.EMBEDDED_SHA256}), judged with a LeNet trained on them: that distance is not "
    "FID. Real images are compared as they are, not resized to the generator's size. Where a "
    "preset tunes, the last tenth of each class is not trained on, and generated images are "
    "compared with it (valid) or with the test images; authors and quick compare with those that "
    "are trained on, as their script does."
)
EMBEDDED: Mapping[str, Any] = {
    "data": "fashion",
    "features": "lenet",
    "hold_out": False,
    "reference": "train",
}
WHOLE: Mapping[str, Any] = {"data": "cifar10", "features": "inception"}
AUTHORS: Mapping[str, Any] = {**WHOLE, "hold_out": False, "reference": "train", "samples": 64_000}
