"""Fashion-MNIST: the embedded 10,000 images, or all 60,000 from a folder that the user names."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import idx

Source = Literal["embedded", "full"]

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
EMBEDDED = "fashion_mnist_10k.npz"
EMBEDDED_SHA256 = "efefbe05b9d7eaf04f28ae39025070e3f555b25bf705ff9319bf8a7a4784fc6b"
VARIABLE = "ADABELIEF_FASHION_MNIST"

# Zalando's four files and the sha256 of what is in them, unpacked: gzip headers differ by mirror.
OFFICIAL_SHA256: Mapping[str, str] = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


@dataclass(frozen=True)
class FashionMNIST:
    """Images (n, 28, 28) and labels (n,) of the official train and test split, all uint8.

    Raises:
        LabError: shapes that do not belong together, or labels that are no class.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            if images.shape != (len(labels), 28, 28) or labels.ndim != 1:
                msg = (
                    f"{split}: images must be (n, 28, 28) and labels (n,), "
                    f"got {images.shape} and {labels.shape}"
                )
                raise LabError(msg)
            if labels.size and labels.max() >= len(CLASSES):
                msg = f"{split}: labels must be in [0, {len(CLASSES)}), got {labels.max()}"
                raise LabError(msg)


def load(source: Source) -> FashionMNIST:
    """The embedded subset, or the full set from the folder in ADABELIEF_FASHION_MNIST.

    Both are checked against known digests, so the word alone says which data a run used.
    """
    if source == "embedded":
        return embedded()
    if source == "full":
        folder = os.environ.get(VARIABLE)
        if not folder:
            files = ", ".join(f"{name}.gz" for name in OFFICIAL_SHA256)
            msg = f"set {VARIABLE} to the folder with {files}: the full data are not in the package"
            raise MissingDataError(msg)
        return official(Path(folder))
    msg = f'Fashion-MNIST data must be "embedded" or "full", got {source!r}'
    raise LabError(msg)


def embedded() -> FashionMNIST:
    """The first 1,000 / 200 images of each class of the official splits, in file order."""
    content = resources.files("adabelief_lab.data").joinpath(EMBEDDED).read_bytes()
    _check_digest(EMBEDDED, content, EMBEDDED_SHA256)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        data = FashionMNIST(**arrays)
    for labels, per_class in ((data.train_labels, 1000), (data.test_labels, 200)):
        counts = np.bincount(labels, minlength=len(CLASSES))
        if not (counts == per_class).all():
            msg = f"{EMBEDDED}: {per_class} images of each class expected, got {counts.tolist()}"
            raise LabError(msg)
    return data


def official(folder: Path, digests: Mapping[str, str] = OFFICIAL_SHA256) -> FashionMNIST:
    """The full set from `folder`, which holds Zalando's four files, as `.gz` or unpacked.

    Args:
        folder: where the files are.
        digests: sha256 of the four unpacked files, in the order of `OFFICIAL_SHA256`.

    Raises:
        LabError: files are missing (the message names them), damaged, or not Zalando's.
    """
    found = {name: path for name in digests if (path := _find(folder, name))}
    missing = [f"{name}[.gz]" for name in digests if name not in found]
    if missing:
        msg = f"Fashion-MNIST in {folder}: missing {', '.join(missing)}"
        raise MissingDataError(msg)
    arrays = []
    for name, path in found.items():
        content = idx.content(path)
        arrays.append(idx.parse(content, 3 if "idx3" in name else 1, str(path)))
        _check_digest(str(path), content, digests[name])
    return FashionMNIST(*arrays)


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}.gz", folder / name)
    return next((path for path in candidates if path.is_file()), None)


def _check_digest(name: str, content: bytes, expected: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        msg = f"{name}: sha256 of the content must be {expected}, got {digest}"
        raise LabError(msg)
