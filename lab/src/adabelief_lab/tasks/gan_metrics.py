"""How good generated images are, by the features of some network: the metrics of a GAN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.rng import generator
from adabelief_lab.declare.workload import FailureThreshold, Metric
from adabelief_lab.features import catalogue, inception
from adabelief_lab.features.cache import features
from adabelief_lab.features.extractor import Extractor

# Half of a normal distribution's 95 % interval, in standard deviations.
_HALF_95 = 1.959964


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and covariance (d, d) of features, float64, with the covariance's square root."""

    mean: Tensor
    covariance: Tensor
    root: Tensor

    @property
    def spread(self) -> float:
        """The total variance."""
        return float(self.covariance.trace())


def moments(features: Tensor, weights: Tensor | None = None) -> Moments:
    """Of features (n, d), computed in float64.

    Args:
        features: finite numbers; n at least 2.
        weights: how often each counts, n in all; once each if None.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    if features.ndim != 2 or len(features) < 2:
        msg = f"features must be (n, d) with n at least 2, got {tuple(features.shape)}"
        raise ValueError(msg)
    if not features.isfinite().all():
        msg = f"features must be finite, got {int((~features.isfinite()).sum())} that are not"
        raise ValueError(msg)
    values = features.double()
    n = len(values)
    counted = values if weights is None else values * weights.double().unsqueeze(1)
    mean = counted.sum(dim=0) / n
    centred = values - mean
    counted = centred if weights is None else centred * weights.double().unsqueeze(1)
    covariance = counted.T @ centred / (n - 1)
    scales, directions = torch.linalg.eigh((covariance + covariance.T) / 2)
    # Rounding makes zeros negative.
    root = (directions * scales.clamp(min=0).sqrt()) @ directions.T
    return Moments(mean, covariance, root)


def frechet(one: Moments, other: Moments) -> float:
    """‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2 (C₁ C₂)^½): Dowson & Landau 1982; Heusel et al. 2017, eq. 6.

    tr (C₁ C₂)^½ is the sum of the singular values of C₁^½ C₂^½, so that no root of a product, which
    is not symmetric, has to be taken.
    """
    apart = (one.mean - other.mean).square().sum()
    shared = torch.linalg.svdvals(one.root @ other.root).sum()
    return max(0.0, float(apart) + one.spread + other.spread - 2 * float(shared))


def frechet_error(features: Tensor, other: Moments, *, replicates: int, seed: int = 0) -> float:
    """Half of the 95 % interval of `frechet` by the bootstrap (Efron 1979) over `features`.

    How much the distance would differ with other generated images of the same number: `other`, the
    real ones, stay. It says nothing about the bias of a distance, which is O(1/n), nor about other
    seeds of training.

    Args:
        features: (n, d) of the generated images.
        other: of the real ones.
        replicates: drawn sets; at least 2.
        seed: of the drawing.

    Raises:
        ValueError: less than 2 replicates.
    """
    if replicates < 2:
        msg = f"replicates must be at least 2, got {replicates}"
        raise ValueError(msg)
    n = len(features)
    found = []
    for replicate in range(replicates):
        drawn = torch.randint(n, (n,), generator=generator(seed, replicate))
        weights = torch.bincount(drawn, minlength=n).to(features.device)
        found.append(frechet(moments(features, weights), other))
    return _HALF_95 * float(torch.tensor(found, dtype=torch.float64).std())


def kid(one: Tensor, other: Tensor, *, block: int = 1000, seed: int = 0) -> float:
    """The Kernel Inception Distance, squared (Bińkowski et al. 2018, section 4): it has no bias.

    The unbiased estimate of the squared maximum mean discrepancy with the kernel (x·y/d + 1)³, a
    mean over pairs of blocks; no feature is in two, and those that are left over are in none.

    Args:
        one: features (n, d).
        other: features (m, d).
        block: a block's size, 1,000 as in the paper; a smaller set is one block.
        seed: of the order in which features are dealt to blocks: sets may come sorted.

    Raises:
        ValueError: shapes that do not belong together, or less than 2 features.
    """
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        msg = (
            "both must be features (n, d) with one d, "
            f"got {tuple(one.shape)} and {tuple(other.shape)}"
        )
        raise ValueError(msg)
    fewer = min(len(one), len(other))
    if fewer < 2:
        msg = f"both sets must have at least 2 features, got {fewer}"
        raise ValueError(msg)
    # Of each set by itself: few images are never compared with all of a large set at once, whose
    # kernel would fill the memory.
    sizes = [min(block, len(features)) for features in (one, other)]
    count = min(len(one) // sizes[0], len(other) // sizes[1])
    dealt = (
        features[torch.randperm(len(features), generator=generator(seed, which))].double()
        for which, features in enumerate((one, other))
    )
    blocks = (
        features[: count * size].split(size) for features, size in zip(dealt, sizes, strict=True)
    )
    return sum(float(_mmd(x, y)) for x, y in zip(*blocks, strict=True)) / count


def _mmd(x: Tensor, y: Tensor) -> Tensor:
    return _off_diagonal(x) + _off_diagonal(y) - 2 * _kernel(x, y).mean()


def _off_diagonal(x: Tensor) -> Tensor:
    values, n = _kernel(x, x), len(x)
    return (values.sum() - values.trace()) / (n * (n - 1))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


# A generator that paints a tenth of the variety that there is.
COLLAPSED = 0.1

GENERATION = (
    Metric(name="frechet", direction="min", label="Fréchet distance"),
    Metric(name="frechet_error", direction="min", label="± of it (bootstrap)"),
    Metric(name="kid", direction="min", label="Kernel distance"),
    Metric(
        name="feature_variance_ratio",
        direction="max",
        label="Variance of features, of the real ones'",
        failure_threshold=FailureThreshold(name="collapsed", value=COLLAPSED),
    ),
    Metric(
        name="to_mean_image",
        direction="min",
        label="Distance, of the mean image's",
        failure_threshold=FailureThreshold(name="no_better_than_mean_image", value=1.0),
    ),
)


# Of a distance on features that are not Inception's.
_KINDS = {"frechet": "Fréchet", "kid": "Kernel"}


def labels(options: Mapping[str, Any]) -> Mapping[str, str]:
    """What the metrics are called under a preset's `features`: only Inception's are FID and KID."""
    label = catalogue.LABELS.get(str(options.get("features")))
    if label is None:
        return {}  # another name is refused where it is built
    if label == inception.LABEL:
        return {"frechet": "FID", "kid": "KID"}
    return {name: f"{kind} distance ({label})" for name, kind in _KINDS.items()}


class ImageQuality:
    """Compares generated images with real ones.

    Args:
        extractor: gives features.
        real: uint8 (n, c, h, w).
        samples: generated images that will be judged, more than features have dimensions: with
            fewer no covariance has full rank, and the distance says little.
        replicates: of the bootstrap.

    Raises:
        LabError: too few images.
    """

    def __init__(
        self, extractor: Extractor, real: Tensor, *, samples: int, replicates: int
    ) -> None:
        needed = extractor.dimensions + 1
        for name, there in (("samples", samples), ("real images", len(real))):
            if there < needed:
                msg = (
                    f"{name} must be at least {needed}, one more than {extractor.label} has "
                    f"features, got {there}: of fewer a covariance cannot have full rank"
                )
                raise LabError(msg)
        self._extractor, self._replicates = extractor, replicates
        self._real = features(real, extractor, kept=True)
        self._moments = moments(self._real)
        # What a generator has to beat: one that paints the mean of all images, always.
        mean = (real.sum(dim=0, keepdim=True) / len(real)).round().to(torch.uint8)
        missed = features(mean, extractor).double() - self._moments.mean
        self._mean_image = float(missed.square().sum()) + self._moments.spread

    def __call__(self, images: Tensor) -> Mapping[str, float]:
        """`GENERATION`'s metrics of images uint8 (n, c, h, w)."""
        found = features(images, self._extractor)
        theirs = moments(found)
        distance = frechet(theirs, self._moments)
        return {
            "frechet": distance,
            "frechet_error": frechet_error(found, self._moments, replicates=self._replicates),
            "kid": kid(found, self._real),
            "feature_variance_ratio": theirs.spread / self._moments.spread,
            "to_mean_image": distance / self._mean_image,
        }


def unjudged() -> Mapping[str, float]:
    """The metrics of images that are no images."""
    return {metric.name: math.inf if metric.direction == "min" else 0.0 for metric in GENERATION}
