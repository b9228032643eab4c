"""The Fashion-MNIST workload: its split, its seeds, its presets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from adabelief_lab.common.errors import LabError
from adabelief_lab.data.fashion_mnist import load
from adabelief_lab.declare.workload import Preset, Split
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.fashion_mnist import build, load_splits, workload

SMOKE = workload.presets["smoke"]


def weights(init_seed: int, data_seed: int = 0) -> list[Tensor]:
    return [*build(SMOKE, init_seed, data_seed).modules["model"].state_dict().values()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_workloads_are_found_by_their_own_names() -> None:
    assert "fashion-mnist" in WORKLOADS
    assert [each.name for each in WORKLOADS.values()] == list(WORKLOADS)


def test_primary_metric_is_among_the_metrics() -> None:
    assert workload.primary in {metric.name for metric in workload.metrics}


def test_tuning_images_are_the_last_fifth_of_each_class_and_not_trained_on() -> None:
    data = load("embedded")
    splits = load_splits("embedded")
    for split, per_class in (("train", 800), ("valid", 200), ("test", 200)):
        assert Counter(splits[split][1].tolist()) == dict.fromkeys(range(10), per_class)
    mean, std = standard(splits["train"][0], data.train_images)
    for label in (0, 9):
        of_class = data.train_images[data.train_labels == label]
        for split, expected in (("train", of_class[:800]), ("valid", of_class[800:])):
            images, labels = splits[split]
            found = images[labels == label].squeeze(1) * std + mean
            assert np.abs(found.numpy() - expected).max() < 1e-3


def standard(images: Tensor, pixels: np.ndarray) -> tuple[float, float]:
    """Mean and deviation that map pixels 0 and 255 to the extremes of `images`."""
    low, high = images.min().item(), images.max().item()
    std = (int(pixels.max()) - int(pixels.min())) / (high - low)
    return -low * std, std


def test_training_images_are_standardised() -> None:
    images = load_splits("embedded")["train"][0].double()
    assert images.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert images.std().item() == pytest.approx(1.0, abs=1e-5)


def test_test_images_are_the_official_test_split() -> None:
    images, labels = load_splits("embedded")["test"]
    data = load("embedded")
    assert labels.tolist() == data.test_labels.tolist()
    # Standardising is increasing: the order of the pixels of an image stays.
    assert np.array_equal(
        np.argsort(images[7].flatten().numpy(), kind="stable"),
        np.argsort(data.test_images[7].flatten(), kind="stable"),
    )


def test_evaluations_see_their_own_split() -> None:
    task = build(SMOKE, 0, 0)
    model = task.modules["model"].eval()
    splits: tuple[Split, ...] = ("valid", "test")
    for split in splits:
        images, labels = load_splits("embedded")[split]
        with torch.no_grad():
            expected = torch.nn.functional.cross_entropy(model(images), labels).item()
        assert task.evaluate(split)["loss"] == pytest.approx(expected, rel=1e-5)
    assert task.evaluate("valid")["loss"] != pytest.approx(task.evaluate("test")["loss"], rel=1e-4)


def test_weights_depend_on_the_first_seed_only() -> None:
    torch.manual_seed(1)
    first = weights(init_seed=5)
    torch.manual_seed(2)
    assert same(weights(init_seed=5, data_seed=9), first)
    assert not same(weights(init_seed=6), first)


def test_order_depends_on_the_second_seed_only() -> None:
    def labels(init_seed: int, data_seed: int) -> list[int]:
        return build(SMOKE, init_seed, data_seed).batch(0)[1].tolist()

    assert labels(5, 1) == labels(6, 1)
    assert labels(5, 1) != labels(5, 2)


def test_build_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    build(SMOKE, 5, 6)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["quick", "smoke"])
def test_presets_build_train_and_evaluate(name: str) -> None:
    preset = workload.presets[name]
    task = build(preset, 0, 0)
    model = task.modules["model"]
    assert len(task.batch(0)[1]) == preset.options["batch_size"]
    before = [parameter.clone() for parameter in model.parameters()]
    task.step(0, {"model": torch.optim.SGD(model.parameters(), lr=0.1)})
    assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert set(task.evaluate("valid")) == {metric.name for metric in workload.metrics}


@pytest.mark.parametrize("name", ["quick", "smoke"])
def test_reduced_presets_are_watermarked_and_give_curves(name: str) -> None:
    preset = workload.presets[name]
    assert "10,000 of 60,000" in preset.watermark
    assert preset.steps % preset.eval_every == 0
    assert preset.steps // preset.eval_every >= 4


def test_fair_preset_wants_the_full_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADABELIEF_FASHION_MNIST", raising=False)
    load_splits.cache_clear()
    with pytest.raises(LabError, match="set ADABELIEF_FASHION_MNIST"):
        build(workload.presets["full"], 0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 32},
        {"batch_size": 32, "width": 0},
        {"batch_size": 32, "width": 4, "data": "half"},
        {"batch_size": 32, "width": 4, "depth": 3},
    ],
)
def test_options_are_checked(options: dict[str, object]) -> None:
    preset = Preset(steps=1, eval_every=1, trials=1, seeds=1, options=options)
    with pytest.raises(ValidationError):
        build(preset, 0, 0)
