"""A GAN of your own as a workload: two networks, each with an optimizer of its own.

Run it with: adabelief compare examples/gan.py:workload
"""

import torch
from torch import nn

from adabelief_lab.data import small_images
from adabelief_lab.declare.workload import Preset, Split, Workload
from adabelief_lab.features import catalogue
from adabelief_lab.tasks.gan import WASSERSTEIN, GANTask
from adabelief_lab.tasks.gan_metrics import GENERATION, ImageQuality, labels


def build(preset: Preset, init_seed: int, data_seed: int) -> GANTask:
    """Two perceptrons on clothes of 28 x 28 pixels."""
    images = small_images.load("fashion", hold_out=True)
    torch.manual_seed(init_seed)  # weights depend on this seed only
    latent, width, samples = 16, preset.options["width"], preset.options["samples"]
    painter = nn.Sequential(
        nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, 28 * 28), nn.Tanh(),
        nn.Unflatten(1, (1, 28, 28)),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(28 * 28, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0)
    )

    def image_quality(split: Split) -> ImageQuality:
        """Against images that are not trained on, by a network that knows clothes."""
        real = {"valid": images.valid, "test": images.test}[split].images
        extractor = catalogue.load(preset.options["features"])
        return ImageQuality(extractor, real, samples=samples, replicates=20)

    return GANTask(
        (painter, critic), images.train, image_quality, WASSERSTEIN, latent=latent, size=28,
        batch_size=32, data_seed=data_seed, samples=samples, clip=0.1,
    )  # fmt: skip


options = {"width": 64, "samples": 500, "features": "lenet"}
workload = Workload(
    name="perceptrons",
    title="Fashion-MNIST, a GAN of perceptrons",
    build=build,
    metrics=GENERATION,
    primary="frechet",
    presets={
        "quick": Preset(steps=400, eval_every=80, trials=5, seeds=8, options=options),
        "smoke": Preset(steps=20, eval_every=10, trials=2, seeds=2, options=options),
    },
    labels=labels,  # what distances are called: FID is Inception's only
    data="Fashion-MNIST (Zalando SE, MIT licence): 10,000 + 2,000 of its images",
)
