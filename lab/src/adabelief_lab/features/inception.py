"""The network of the Fréchet Inception Distance, with the weights that the user has.

Heusel et al. 2017 take TensorFlow's graph of December 2015; torch-fidelity and pytorch-fid publish
its weights as one and the same file. The network is torch-fidelity's; it is not torchvision's
Inception: mean pools do not count their padding, and the last block pools by the maximum.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from adabelief_lab.common.errors import LabError, MissingDataError, needs_extra
from adabelief_lab.features.extractor import Extractor, frozen

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


class Inception(nn.Module):
    """Images uint8 (n, c, h, w) -> features (n, 2048): Szegedy et al. 2015, table 1, to its pool.

    Args:
        weights: content of the file of weights; a pickle, so only known content may come here.

    Raises:
        LabError: torch-fidelity is not installed.
    """

    def __init__(self, weights: bytes) -> None:
        super().__init__()
        with needs_extra("FID", "torch-fidelity", "gan"):
            from torch_fidelity.feature_extractor_inceptionv3 import (  # noqa: PLC0415, an extra
                FeatureExtractorInceptionV3,
            )
        with torch.random.fork_rng(devices=[]):  # weights are drawn before the file's come
            self.network = FeatureExtractorInceptionV3(
                "inception", [str(DIMENSIONS)], feature_extractor_weights_path=io.BytesIO(weights)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Features: the last block's, averaged."""
        (found,) = self.network(images.expand(-1, 3, -1, -1))
        return found


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
    return Extractor(
        label=LABEL,
        digest=digest,
        dimensions=DIMENSIONS,
        network=frozen(Inception(content), device),
    )
