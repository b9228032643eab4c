"""Fréchet's distance and the kernel's: closed forms, other people's code, and what they must do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adabelief_lab.tasks import gan_metrics
from adabelief_lab.tasks.gan_metrics import Moments, frechet, frechet_error, kid, moments


def drawn(n: int, d: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Correlated features like those after a ReLU: some are often zero."""
    source = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    values = torch.randn(n, d, generator=source, dtype=torch.float64) @ mixing
    return (scale * values + shift).clamp(min=-0.5)


def test_the_distance_of_gaussians_whose_covariances_commute_is_known() -> None:
    basis, _ = torch.linalg.qr(drawn(6, 6, seed=1))
    one, other = torch.tensor([4.0, 1, 0.25, 9, 0, 2]), torch.tensor([1.0, 1, 4, 0, 0, 8])
    mean = torch.arange(6, dtype=torch.float64)

    def gaussian(scales: Tensor, centre: Tensor) -> Moments:
        root = basis @ torch.diag(scales.double().sqrt()) @ basis.T
        return Moments(centre, root @ root, root)

    found = frechet(gaussian(one, mean), gaussian(other, torch.zeros(6, dtype=torch.float64)))
    # ‖μ‖² + Σ (√a - √b)²
    expected = float(mean.square().sum() + (one.sqrt() - other.sqrt()).square().sum())
    assert found == pytest.approx(expected, rel=1e-13)


def test_moments_are_numpys() -> None:
    values = drawn(50, 7, seed=2)
    found = moments(values)
    np.testing.assert_allclose(found.mean, values.numpy().mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(values.numpy().T), rtol=1e-12)
    np.testing.assert_allclose(found.root @ found.root, found.covariance, rtol=1e-11, atol=1e-13)


def test_weights_count_as_often_as_they_say() -> None:
    values, weights = drawn(5, 3, seed=3), torch.tensor([0, 2, 1, 0, 2])
    repeated = values.repeat_interleave(weights, dim=0)
    found, expected = moments(values, weights), moments(repeated)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.covariance, expected.covariance)


class _Given(nn.Module):
    """An extractor for torchmetrics: the features are the images."""

    num_features = 48

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


@pytest.mark.parametrize(("n", "m", "scale", "shift"), [(400, 300, 1.0, 0.0), (200, 900, 3.0, 0.4)])
def test_the_distance_is_torchmetrics_to_a_millionth(
    n: int, m: int, scale: float, shift: float
) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance  # noqa: PLC0415

    real, fake = drawn(n, 48, seed=4), drawn(m, 48, seed=5, scale=scale, shift=shift)
    theirs = FrechetInceptionDistance(feature=_Given(), input_img_size=(3, 4, 4))
    theirs.set_dtype(torch.float64)
    theirs.update(real.view(-1, 3, 4, 4), real=True)
    theirs.update(fake.view(-1, 3, 4, 4), real=False)
    expected = float(theirs.compute())
    assert expected > 0.1
    assert frechet(moments(fake), moments(real)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "scale", "shift"), [(400, 300, 1.0, 0.0), (200, 900, 3.0, 0.4)])
def test_the_distance_is_torch_fidelitys_to_a_millionth(
    n: int, m: int, scale: float, shift: float
) -> None:
    from torch_fidelity import metric_fid  # noqa: PLC0415

    real, fake = drawn(n, 48, seed=4), drawn(m, 48, seed=5, scale=scale, shift=shift)
    statistics = [metric_fid.fid_features_to_statistics(each) for each in (real, fake)]
    theirs = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    expected = theirs["frechet_inception_distance"]
    assert expected > 0.1
    assert frechet(moments(fake), moments(real)) == pytest.approx(expected, rel=1e-6)


def test_the_kernels_distance_of_one_block_is_torch_fidelitys_to_a_millionth() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: PLC0415

    one, other = drawn(300, 48, seed=6), drawn(300, 48, seed=7, shift=0.3)
    # One subset that is the whole set: its order is drawn, and does not matter.
    theirs = kid_features_to_metric(
        one, other, kid_subsets=1, kid_subset_size=300, verbose=False, rng_seed=0
    )
    expected = theirs["kernel_inception_distance_mean"]
    assert kid(one, other, block=1000) == pytest.approx(expected, rel=1e-6)


def test_the_kernels_distance_of_sets_of_different_size_is_the_formulas() -> None:
    one, other = drawn(30, 8, seed=6), drawn(50, 8, seed=7, shift=0.3)
    assert kid(one, other, block=1000) == pytest.approx(by_hand(one, other), rel=1e-12)


def by_hand(one: Tensor, other: Tensor) -> float:
    """Bińkowski et al. 2018, the unbiased estimate, pair by pair."""

    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / len(x) + 1) ** 3

    def within(values: Tensor) -> float:
        n = len(values)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        return math.fsum(kernel(values[i], values[j]) for i, j in pairs) / (n * (n - 1))

    across = [kernel(x, y) for x in one for y in other]
    return within(one) + within(other) - 2 * math.fsum(across) / len(across)


def test_blocks_are_dealt_whatever_the_order_of_the_sets() -> None:
    """Sorted sets, as data sets are by class, must not be compared class with class."""
    values = drawn(4000, 5, seed=8)
    by_size = values[values.sum(dim=1).argsort()]
    backwards = by_size.flip(0)
    apart = abs(kid(by_size, backwards, block=500))
    # What blocks in the given order would say: the largest against the smallest.
    sorted_out = abs(
        np.mean([kid(a, b) for a, b in zip(by_size.split(500), backwards.split(500), strict=True)])
    )
    assert apart < sorted_out / 100


@pytest.mark.parametrize(("n", "m"), [(30, 700), (700, 30), (250, 720), (100, 100)])
def test_no_more_than_a_block_of_either_is_looked_at_at_once(
    n: int, m: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few images against all of a data set would fill the memory."""
    sizes: list[tuple[int, int]] = []
    kernel = gan_metrics._kernel

    def watched(x: Tensor, y: Tensor) -> Tensor:
        sizes.append((len(x), len(y)))
        return kernel(x, y)

    monkeypatch.setattr(gan_metrics, "_kernel", watched)
    kid(drawn(n, 4, seed=1), drawn(m, 4, seed=2), block=100)
    assert max(max(pair) for pair in sizes) <= 100
    across = [pair for pair in sizes if pair[0] != pair[1] or n == m]
    assert all(pair == (min(n, 100), min(m, 100)) for pair in across)
    # Within both, and across: three kernels for each pair of blocks.
    assert len(sizes) == 3 * min(n // min(n, 100), m // min(m, 100))


def test_two_samples_of_one_distribution_are_at_distance_nought_on_average_by_the_kernel() -> None:
    found = [kid(drawn(60, 5, seed=s), drawn(40, 5, seed=s + 1000)) for s in range(200)]
    error = float(np.std(found) / math.sqrt(len(found)))
    assert abs(np.mean(found)) < 4 * error


def test_both_grow_with_noise() -> None:
    real, other = drawn(1500, 12, seed=9), drawn(1500, 12, seed=10)
    noise = torch.randn(1500, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    noisy = [other + level * noise for level in (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)]
    distances = [frechet(moments(each), moments(real)) for each in noisy]
    kernels = [kid(each, real) for each in noisy]
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[1]
    assert kernels == sorted(kernels)


def test_of_a_set_to_itself_it_is_nothing() -> None:
    values = drawn(500, 48, seed=11)
    found = moments(values)
    # A singular value's error is that of rounding, times the largest; there are 48.
    assert frechet(found, found) < 48 * 1e-14 * found.spread


def test_constant_features_and_few_of_them_are_no_difficulty() -> None:
    values = drawn(100, 8, seed=12)
    values[:, 3] = 0.0
    other = drawn(100, 8, seed=13)
    found = frechet(moments(values), moments(other))
    assert math.isfinite(found)
    assert found > 0


def test_the_bootstraps_interval_holds_the_mean_of_distances_as_often_as_it_says() -> None:
    """Generated anew 100 times: the interval around each distance has the mean of all of them."""
    real = moments(drawn(3000, 4, seed=14))
    distances, errors = [], []
    for seed in range(100):
        fake = drawn(300, 4, seed=100 + seed, scale=1.2, shift=0.3)
        distances.append(frechet(moments(fake), real))
        errors.append(frechet_error(fake, real, replicates=50, seed=seed))
    inside = np.abs(np.array(distances) - np.mean(distances)) <= np.array(errors)
    # 19 of 20; the binomial's own deviation is 2.2 %, and 50 replicates know theirs to a tenth.
    assert inside.mean() > 0.95 - 4 * 0.022
    assert np.mean(errors) == pytest.approx(1.96 * np.std(distances), rel=4 * math.sqrt(0.5 / 100))


def test_the_bootstrap_is_the_same_every_time() -> None:
    fake, real = drawn(200, 4, seed=15), moments(drawn(200, 4, seed=16))
    first = frechet_error(fake, real, replicates=20)
    assert first == frechet_error(fake, real, replicates=20)
    assert first != frechet_error(fake, real, replicates=20, seed=1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (torch.zeros(1, 4), r"\(n, d\) with n at least 2, got \(1, 4\)"),
        (torch.zeros(4), r"got \(4,\)"),
        (torch.tensor([[1.0, math.nan], [0, 0]]), "finite, got 1 that are not"),
        (torch.tensor([[1.0, math.inf], [-math.inf, 0]]), "finite, got 2 that are not"),
    ],
)
def test_what_has_no_moments_is_refused(values: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        moments(values)


def test_sets_that_cannot_be_compared_are_refused() -> None:
    values = drawn(10, 4, seed=1)
    with pytest.raises(ValueError, match=r"one d, got \(10, 4\) and \(10, 3\)"):
        kid(values, values[:, :3])
    with pytest.raises(ValueError, match="at least 2 features, got 1"):
        kid(values, values[:1])
    with pytest.raises(ValueError, match="replicates must be at least 2, got 1"):
        frechet_error(values, moments(values), replicates=1)
