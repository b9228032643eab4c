"""A small network for clothes, after LeCun et al. 1998: its features need nothing from the user."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.data import embedded
from adabelief_lab.features.extractor import Extractor, frozen

WEIGHTS = "lenet_fashion_mnist.npz"
WEIGHTS_SHA256 = "d38554d5fd8fcc2330f1d5d717349737ab3d66a33657542b6d4061aeaa4e2c98"
LABEL = "LeNet"
DIMENSIONS = 84
SIZE = 32
# Luminance of red, green and blue: ITU-R BT.601.
_LUMINANCE = (0.299, 0.587, 0.114)


class LeNet(nn.Module):
    """Images uint8 (n, c, h, w) -> features (n, 84); `classes` makes scores (n, 10) of them."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 12, 5),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 5),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.perceptron = nn.Sequential(
            nn.Flatten(), nn.Linear(600, 120), nn.ReLU(), nn.Linear(120, DIMENSIONS), nn.ReLU()
        )
        self.classes = nn.Linear(DIMENSIONS, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Features: what the last layer is given."""
        return self.perceptron(self.convolutions(prepared(images)))


def prepared(images: Tensor) -> Tensor:
    """Bytes of any size -> float32 (n, 1, 32, 32) in [-1, 1]; of colours their luminance."""
    values = images.float()
    if images.shape[1] == 3:
        weights = values.new_tensor(_LUMINANCE).view(1, 3, 1, 1)
        values = (values * weights).sum(dim=1, keepdim=True)
    if images.shape[2:] != (SIZE, SIZE):
        values = functional.interpolate(values, (SIZE, SIZE), mode="bilinear", antialias=True)
    return values / 127.5 - 1


def load(device: torch.device) -> Extractor:
    """The network with the weights of this package.

    Raises:
        LabError: its file is not the one that came with the package.
    """
    with np.load(io.BytesIO(embedded.read(WEIGHTS, WEIGHTS_SHA256)), allow_pickle=False) as arrays:
        network = of(arrays)
    return Extractor(
        label=LABEL,
        digest=WEIGHTS_SHA256,
        dimensions=DIMENSIONS,
        network=frozen(network, device),
    )


def of(arrays: Mapping[str, np.ndarray]) -> LeNet:
    """With these weights, by the names of its state."""
    network = LeNet()
    network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays})
    return network
