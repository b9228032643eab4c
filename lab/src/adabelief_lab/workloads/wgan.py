"""WGAN and WGAN-GP with a generator of transposed convolutions: figures 6 and 7, table 4."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

from adabelief_lab.data import small_images
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.models.dcgan import Critic, Generator, Norm
from adabelief_lab.optimizers.published_gan import WGAN
from adabelief_lab.tasks.gan import WASSERSTEIN, GANTask
from adabelief_lab.tasks.gan_metrics import GENERATION, labels
from adabelief_lab.workloads import gan


class Options(gan.Common):
    """What a preset may set for these workloads.

    Args:
        size: height and width of generated images, a power of two.
        width: channels next to the image, see `adabelief_lab.models.dcgan`.
        norm: between the critic's layers.
        sigmoid: the critic's scores are in (0, 1).
        clip: bound of the critic's parameters; none if None.
        penalty: λ of the gradient penalty; none if 0.
    """

    size: int = Field(default=64, ge=8)
    width: int = Field(default=64, ge=1)
    norm: Norm = "batch"
    sigmoid: bool = False
    clip: float | None = Field(default=None, gt=0)
    penalty: float = Field(default=0.0, ge=0)


def build(preset: Preset, init_seed: int, data_seed: int) -> GANTask:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    channels = small_images.channels(options.data)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        networks = (
            Generator(options.latent, options.width, channels, options.size),
            Critic(
                options.width, channels, options.size, norm=options.norm, sigmoid=options.sigmoid
            ),
        )
    return gan.task(
        options, networks, WASSERSTEIN, data_seed,
        size=options.size, clip=options.clip, penalty=options.penalty,
    )  # fmt: skip


# Constant: neither text nor code has a schedule.
_CONSTANT = Schedule(kind="constant")
_EPOCHS = 100
# 50,000 images in batches of 64, a generator's step for five of them.
_EPOCH = 50_000 // 64 // 5
_QUICK_STEPS = 320


def _presets(own: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Preset]:
    """Presets.

    Args:
        own: options of the method, as its paper has it.
        theirs: as the authors' code has it.
    """
    full: dict[str, Any] = {
        "steps": _EPOCHS * _EPOCH, "eval_every": 5 * _EPOCH, "schedule": _CONSTANT,
    }  # fmt: skip
    small = {**gan.EMBEDDED, **theirs, "turn": "first", "size": 32}
    return {
        "full": Preset(trials=7, seeds=5, search="space", options={**gan.WHOLE, **own}, **full),
        "paper": Preset(trials=25, seeds=5, search="paper", options={**gan.WHOLE, **own}, **full),
        "authors": Preset(
            trials=1, seeds=5, search="published",
            options={**gan.AUTHORS, **theirs, "turn": "first"}, **full,
        ),
        "quick": Preset(
            steps=_QUICK_STEPS, eval_every=_QUICK_STEPS // 8, trials=1, seeds=3,
            search="published", schedule=_CONSTANT,
            options={**small, "width": 16, "batch_size": 32, "samples": 2000},
            watermark=(
                "reduced: 10,000 images of Fashion-MNIST, networks of a quarter's width, "
                f"{_QUICK_STEPS} of the generator's steps with 32 images"
            ),
        ),
        "smoke": Preset(
            steps=4, eval_every=2, trials=1, seeds=2, search="published", schedule=_CONSTANT,
            options={
                **small, "size": 8, "width": 2, "samples": 200, "batch_size": 8, "n_critic": 2,
                "replicates": 2,
            },
            watermark="a few steps of tiny networks, to try the program",
        ),
    }  # fmt: skip


def _workload(name: str, title: str, own: dict[str, Any], theirs: dict[str, Any]) -> Workload:
    return Workload(
        name=name,
        build=build,
        metrics=GENERATION,
        primary="frechet",
        presets=_presets(own, theirs),
        title=title,
        data=gan.DATA,
        published=WGAN,
        options=Options,
        labels=labels,
    )


# Arjovsky et al. 2017, Algorithm 1; the authors' critic ends in a sigmoid.
_CLIP = {"clip": 0.01}
# Gulrajani et al. 2017, Algorithm 1 and section 4, which wants no batch normalisation in the
# critic; the authors' has it.
_PENALTY = {"penalty": 10.0}

WORKLOADS = {
    each.name: each
    for each in (
        _workload("wgan", "WGAN", _CLIP, {**_CLIP, "sigmoid": True}),
        _workload("wgan-gp", "WGAN-GP", {**_PENALTY, "norm": "layer"}, _PENALTY),
    )
}
