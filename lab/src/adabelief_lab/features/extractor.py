"""A network that turns images into features, with what must be said of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from adabelief_lab.common.errors import LabError

Name = Literal["lenet", "efficientnet", "inception"]

_BATCH = 100
_SMALLEST = 8


@dataclass(frozen=True)
class Extractor:
    """Images uint8 (n, c, h, w), one colour or three -> features float32 (n, dimensions).

    Args:
        label: of the network, as in tables.
        digest: sha256 of its weights.
        dimensions: of its features.
        network: called with images as they are; in evaluation mode, nothing of it is trained.
    """

    label: str
    digest: str
    dimensions: int
    network: nn.Module

    def __call__(self, images: Tensor) -> Tensor:
        """Features of images of any size, batch by batch, on the processor.

        Raises:
            LabError: these are no images.
        """
        check(images)
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            parts = [self.network(part.to(device)).float().cpu() for part in images.split(_BATCH)]
        # Out here: what is made in inference mode may not be used with gradients.
        return torch.cat(parts)


def check(images: Tensor) -> None:
    """Refuse what is not uint8 (n, c, h, w) with c 1 or 3, n at least 1, h and w at least 8.

    Raises:
        LabError: with what they are.
    """
    right = images.ndim == 4 and images.shape[1] in (1, 3) and len(images) > 0
    if images.dtype != torch.uint8 or not right or min(images.shape[2:]) < _SMALLEST:
        msg = (
            f"images must be uint8 (n, c, h, w) with c 1 or 3, n at least 1, h and w at least "
            f"{_SMALLEST}, got {images.dtype} {tuple(images.shape)}"
        )
        raise LabError(msg)


def frozen(network: nn.Module, device: torch.device) -> nn.Module:
    """In evaluation mode, on that device, without gradients."""
    return network.to(device).eval().requires_grad_(requires_grad=False)
