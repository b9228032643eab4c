"""SN-GAN with conditional ResNets: table 3."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

from adabelief_lab.data import small_images
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.models.sngan import SIZE, Critic, Generator
from adabelief_lab.optimizers.published_gan import SN_GAN
from adabelief_lab.tasks.gan import HINGE, GANTask
from adabelief_lab.tasks.gan_metrics import GENERATION, labels
from adabelief_lab.workloads import gan


class Options(gan.Common):
    """What a preset may set for this workload.

    Args:
        width: channels of the generator's layers.
        critic_width: of the critic's.
    """

    width: int = Field(default=256, ge=1)
    critic_width: int = Field(default=128, ge=1)
    latent: int = Field(default=128, ge=1)


def build(preset: Preset, init_seed: int, data_seed: int) -> GANTask:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    channels = small_images.channels(options.data)
    classes = small_images.classes(options.data)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        networks = (
            Generator(options.latent, options.width, channels, classes),
            Critic(options.critic_width, channels, classes),
        )
    return gan.task(options, networks, HINGE, data_seed, size=SIZE, classes=classes)


_STEPS = 100_000
_QUICK_STEPS = 120
_full: dict[str, Any] = {
    "steps": _STEPS, "eval_every": _STEPS // 50, "schedule": Schedule(kind="constant"),
}  # fmt: skip

workload = Workload(
    name="sn-gan",
    build=build,
    metrics=GENERATION,
    primary="frechet",
    presets={
        "full": Preset(trials=7, seeds=5, search="space", options=dict(gan.WHOLE), **_full),
        "paper": Preset(trials=25, seeds=5, search="paper", options=dict(gan.WHOLE), **_full),
        "authors": Preset(
            trials=1, seeds=3, search="published", options={**gan.AUTHORS, "samples": 50_000},
            **_full,
        ),
        "quick": Preset(
            steps=_QUICK_STEPS, eval_every=_QUICK_STEPS // 4, trials=1, seeds=3,
            search="published", schedule=Schedule(kind="constant"),
            options={
                **gan.EMBEDDED, "width": 16, "critic_width": 16, "batch_size": 32,
                "samples": 2000,
            },
            watermark=(
                "reduced: 10,000 images of Fashion-MNIST, networks of width 16, "
                f"{_QUICK_STEPS} of {_STEPS:,} steps"
            ),
        ),
        "smoke": Preset(
            steps=4, eval_every=2, trials=1, seeds=2, search="published",
            schedule=Schedule(kind="constant"),
            options={
                **gan.EMBEDDED, "width": 2, "critic_width": 2, "samples": 200, "batch_size": 4,
                "n_critic": 2, "replicates": 2,
            },
            watermark="a few steps of tiny networks, to try the program",
        ),
    },
    title="SN-GAN",
    data=gan.DATA,
    published=SN_GAN,
    options=Options,
    labels=labels,
)  # fmt: skip
