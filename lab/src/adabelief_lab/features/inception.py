"""The network of the Fréchet Inception Distance, with the weights that the user has.

Heusel et al. 2017 take TensorFlow's graph of December 2015; torch-fidelity and pytorch-fid publish
its weights as one and the same file. It is not torchvision's Inception: mean pools do not count
their padding, and the last block pools by the maximum.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.features.extractor import Extractor, frozen
from adabelief_lab.features.inception_blocks import (
    Conv,
    block_a,
    block_b,
    block_c,
    block_d,
    block_e,
)

LABEL = "Inception"
DIMENSIONS = 2048
VARIABLE = "ADABELIEF_INCEPTION"
FILES = (
    "weights-inception-2015-12-05-6726825d.pth",
    "pt_inception-2015-12-05-6726825d.pth",
)
# 95,628,359 bytes. The first digits are in the names under which it is published.
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
HOMES = "releases of github.com/toshas/torch-fidelity and github.com/mseitzer/pytorch-fid"
_SIZE = 299


class Inception(nn.Module):
    """Images uint8 (n, c, h, w) -> features (n, 2048): Szegedy et al. 2015, table 1, to its pool.

    Modules have the names of the file of weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, (3, 3), stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, (3, 3), padding=(0, 0))
        self.Conv2d_2b_3x3 = Conv(32, 64, (3, 3))
        self.Conv2d_3b_1x1 = Conv(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Conv(80, 192, (3, 3), padding=(0, 0))
        self.Mixed_5b = block_a(192, 32)
        self.Mixed_5c = block_a(256, 64)
        self.Mixed_5d = block_a(288, 64)
        self.Mixed_6a = block_b(288)
        self.Mixed_6b = block_c(768, 128)
        self.Mixed_6c = block_c(768, 160)
        self.Mixed_6d = block_c(768, 160)
        self.Mixed_6e = block_c(768, 192)
        self.Mixed_7a = block_d(768)
        self.Mixed_7b = block_e(1280)
        self.Mixed_7c = block_e(2048, by_maximum=True)

    def forward(self, images: Tensor) -> Tensor:
        """Features: the last block's, averaged."""
        x = (resized(images.float().expand(-1, 3, -1, -1), _SIZE) - 128) / 128
        for name, module in self.named_children():
            x = module(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = functional.max_pool2d(x, 3, stride=2)
        return x.mean(dim=(2, 3))


def resized(images: Tensor, size: int) -> Tensor:
    """Images (n, c, h, w) -> (n, c, size, size), bilinear as TensorFlow 1 has it.

    Without half-pixel centres: the first pixels of both coincide, the last ones do not.
    """
    return _stretched(_stretched(images, size).mT, size).mT


def _stretched(images: Tensor, size: int) -> Tensor:
    """The last dimension at another length."""
    length = images.shape[-1]
    places = torch.arange(size, device=images.device, dtype=torch.float32) * (length / size)
    below = places.floor().long()
    above = (below + 1).clamp(max=length - 1)
    low, high = images[..., below], images[..., above]
    return low + (high - low) * (places - below)


def load(device: torch.device) -> Extractor:
    """The network with the weights in the file, or the folder, that ADABELIEF_INCEPTION names.

    Raises:
        MissingDataError: none is named, or it is not there.
        LabError: it is another file.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        msg = f"set {VARIABLE} to the file {FILES[0]}, which is in the {HOMES}"
        raise MissingDataError(msg)
    path = Path(named)
    if path.is_dir():
        path = next((path / name for name in FILES if (path / name).is_file()), path / FILES[0])
    return read(path, WEIGHTS_SHA256, device)


def read(path: Path, sha256: str, device: torch.device) -> Extractor:
    """The network with the weights of that file, which must have that digest.

    Raises:
        MissingDataError: there is no such file.
        LabError: it is another file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); {FILES[0]} is in the {HOMES}"
        raise MissingDataError(msg) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        msg = f"{path}: sha256 must be {sha256}, got {digest}"
        raise LabError(msg)
    weights: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = Inception()
    # The classes that it was trained for are no features.
    network.load_state_dict({k: v for k, v in weights.items() if not k.startswith("fc.")})
    return Extractor(
        label=LABEL,
        digest=digest,
        dimensions=DIMENSIONS,
        network=frozen(network, device),
    )
