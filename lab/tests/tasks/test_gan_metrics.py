"""Generated images against real ones: what is told of them, and when they have come to nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adabelief_lab.common.errors import LabError
from adabelief_lab.data import small_images
from adabelief_lab.features import cache, catalogue
from adabelief_lab.tasks.gan_metrics import (
    COLLAPSED,
    GENERATION,
    ImageQuality,
    frechet,
    frechet_error,
    kid,
    moments,
    unjudged,
)


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))


def clothes() -> tuple[Tensor, Tensor]:
    """Real images, and others that are as real."""
    whole = small_images.load("fashion", hold_out=False).train.images
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(4))
    return whole[order[:3000]], whole[order[3000:4500]]


def image_quality(real: Tensor, samples: int = 1500) -> ImageQuality:
    return ImageQuality(catalogue.load("lenet"), real, samples=samples, replicates=5)


def noisy(images: Tensor, level: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(6))
    return (images + level * noise).round().clamp(0, 255).to(torch.uint8)


def test_the_numbers_are_those_of_the_features() -> None:
    real, other = clothes()
    found = image_quality(real)(other)
    extractor = catalogue.load("lenet")
    of_real, of_other = extractor(real), extractor(other)
    theirs = moments(of_real)
    assert found["frechet"] == frechet(moments(of_other), theirs)
    assert found["frechet_error"] == frechet_error(of_other, theirs, replicates=5)
    assert found["kid"] == kid(of_other, of_real)
    assert found["feature_variance_ratio"] == pytest.approx(
        float(of_other.double().var(dim=0).sum() / of_real.double().var(dim=0).sum())
    )
    assert set(found) == {metric.name for metric in GENERATION}


def test_real_images_that_it_has_not_seen_are_good() -> None:
    real, other = clothes()
    found = image_quality(real)(other)
    assert found["feature_variance_ratio"] == pytest.approx(1, abs=0.05)
    assert found["to_mean_image"] < 0.01
    assert abs(found["kid"]) < 0.01 * abs(image_quality(real)(noisy(other, 100))["kid"])


def test_all_get_worse_with_noise() -> None:
    real, other = clothes()
    levels = [image_quality(real)(noisy(other, level)) for level in (0, 10, 20, 40, 80, 160)]
    for name in ("frechet", "kid", "to_mean_image"):
        values = [found[name] for found in levels]
        assert values == sorted(values), name


def test_a_generator_that_paints_one_image_has_collapsed_and_one_that_paints_the_mean_is_vain() -> (
    None
):
    real, _ = clothes()
    failures = {
        metric.name: metric for metric in GENERATION if metric.failure_threshold is not None
    }
    one = image_quality(real)(real[:1].expand(1500, -1, -1, -1))
    assert one["feature_variance_ratio"] == pytest.approx(0, abs=1e-6)
    assert failures["feature_variance_ratio"].fails(one["feature_variance_ratio"])
    mean = real.double().mean(dim=0, keepdim=True).round().to(torch.uint8)
    vain = image_quality(real)(mean.expand(1500, -1, -1, -1))
    assert vain["to_mean_image"] == pytest.approx(1, rel=1e-6)
    good = image_quality(real)(clothes()[1])
    assert not any(metric.fails(good[name]) for name, metric in failures.items())


def test_a_generator_of_one_class_in_ten_is_seen_by_its_variety() -> None:
    """It has not collapsed to one image, and yet it shows."""
    whole = small_images.load("fashion", hold_out=False).train
    trousers = whole.images[whole.labels == 1]
    found = image_quality(whole.images, samples=1000)(trousers)
    assert COLLAPSED < found["feature_variance_ratio"] < 0.6


@pytest.mark.parametrize(("samples", "there"), [(84, 84), (10, 10)])
def test_fewer_images_than_features_are_refused(samples: int, there: int) -> None:
    real, _ = clothes()
    with pytest.raises(
        LabError, match=f"samples must be at least 85, .* LeNet .* got {samples}: .* full rank"
    ):
        image_quality(real, samples=samples)
    with pytest.raises(LabError, match=f"real images must be at least 85, .* got {there}"):
        image_quality(real[:there])


def test_as_many_as_are_needed_are_enough() -> None:
    real, _ = clothes()
    assert math.isfinite(image_quality(real[:85], samples=85)(real[85:170])["frechet"])


def test_no_images_have_the_worst_of_all_metrics() -> None:
    found = unjudged()
    assert set(found) == {metric.name for metric in GENERATION}
    assert all(
        found[metric.name] == (math.inf if metric.direction == "min" else 0.0)
        for metric in GENERATION
    )
