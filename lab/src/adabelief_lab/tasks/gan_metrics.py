"""How good generated images are, by the features of some network: the metrics of a GAN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.workload import FailureThreshold, Metric
from adabelief_lab.features import catalogue, inception
from adabelief_lab.features.cache import features
from adabelief_lab.features.extractor import Extractor
from adabelief_lab.tasks.distances import frechet, frechet_error, kid, moments

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
