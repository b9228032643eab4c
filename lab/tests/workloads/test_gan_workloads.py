"""The paper's GANs as workloads: what each preset builds, and against what it is judged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief_lab.data import small_images
from adabelief_lab.declare.workload import Preset
from adabelief_lab.models import dcgan, sngan
from adabelief_lab.tasks.gan import HINGE, WASSERSTEIN, GANTask
from adabelief_lab.tasks.gan_metrics import ImageQuality
from adabelief_lab.workloads import WORKLOADS, gan

# What makes any of them small, its preset's own choices left as they are.
SMALL: dict[str, Any] = {
    "data": "fashion", "features": "lenet", "width": 2, "samples": 100, "batch_size": 4,
    "n_critic": 2, "replicates": 2,
}  # fmt: skip


def preset(workload: str, name: str) -> Preset:
    own = WORKLOADS[workload].presets[name]
    small = {**SMALL, **({"critic_width": 2} if workload == "sn-gan" else {"size": 8})}
    return own.model_copy(update={"options": {**own.options, **small}})


def built(workload: str, name: str) -> GANTask:
    task = WORKLOADS[workload].build(preset(workload, name), 3, 4)
    assert isinstance(task, GANTask)
    return task


def weights_after(task: GANTask, steps: int = 3) -> list[Tensor]:
    optimizers = {
        # Large steps, so that a clipping shows.
        name: AdaBelief(module.parameters(), lr=0.01, betas=(0.5, 0.999), eps=1e-12)
        for name, module in task.modules.items()
    }
    for index in range(steps):
        task.step(index, optimizers)
    return [value for module in task.modules.values() for value in module.state_dict().values()]


THEIRS = ("authors", "quick", "smoke")
BY_PAPERS = ("paper", "full")


@pytest.mark.parametrize("name", [*THEIRS, *BY_PAPERS])
@pytest.mark.parametrize("workload", ["wgan", "wgan-gp", "sn-gan"])
def test_a_preset_builds_what_the_page_says(workload: str, name: str) -> None:
    """The same task made by hand trains to the same weights, bit for bit."""
    theirs = name in THEIRS
    networks: tuple[nn.Module, nn.Module]
    torch.manual_seed(3)
    changes: dict[str, Any] = {"turn": "first" if theirs else "last", "size": 8}
    if workload == "wgan":
        networks = dcgan.Generator(100, 2, 1, 8), dcgan.Critic(2, 1, 8, sigmoid=theirs)
        changes["clip"] = 0.01
    elif workload == "wgan-gp":
        norm: dcgan.Norm = "batch" if theirs else "layer"
        networks = dcgan.Generator(100, 2, 1, 8), dcgan.Critic(2, 1, 8, norm=norm)
        changes["penalty"] = 10.0
    else:
        networks = sngan.Generator(128, 2, 1, 10), sngan.Critic(2, 1, 10)
        changes = {"size": 32, "classes": 10}
    painter, critic = (each.to(memory_format=torch.channels_last) for each in networks)
    by_hand = GANTask(
        (painter, critic),
        small_images.load("fashion", hold_out=not theirs).train,
        lambda split: None,  # type: ignore[arg-type,return-value]
        HINGE if workload == "sn-gan" else WASSERSTEIN,
        latent=128 if workload == "sn-gan" else 100, batch_size=4, data_seed=4, samples=100,
        n_critic=2, **changes,
    )  # fmt: skip
    found, expected = weights_after(built(workload, name)), weights_after(by_hand)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("workload", ["wgan", "wgan-gp", "sn-gan"])
def test_another_seed_begins_elsewhere_and_random_numbers_are_left_alone(workload: str) -> None:
    before = torch.get_rng_state()
    made = [WORKLOADS[workload].build(preset(workload, "smoke"), seed, 4) for seed in (3, 5)]
    assert torch.equal(torch.get_rng_state(), before)
    first, other = (next(task.modules["generator"].parameters()) for task in made)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [
        ("quick", "valid", 10_000), ("quick", "test", 10_000), ("authors", "test", 10_000),
        ("full", "valid", 1000), ("full", "test", 2000), ("paper", "test", 2000),
    ],
)  # fmt: skip
def test_images_are_judged_by_those_that_the_page_names(
    name: str, split: Any, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    class Watched(ImageQuality):
        def __init__(self, extractor: Any, real: Tensor, **more: Any) -> None:
            seen.append(real)
            super().__init__(extractor, real, **more)

    monkeypatch.setattr(gan, "ImageQuality", Watched)
    gan._image_quality_of.cache_clear()
    try:
        built("wgan", name).evaluate(split)
    finally:
        gan._image_quality_of.cache_clear()
    splits = small_images.load("fashion", hold_out=name in BY_PAPERS)
    expected = splits.train if name in THEIRS else getattr(splits, split)
    assert len(seen[0]) == count
    assert torch.equal(seen[0], expected.images)
