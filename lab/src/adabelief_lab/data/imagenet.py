"""ImageNet 2012, or any images like it, from a folder that the user names; nothing is downloaded.

torchvision's ImageFolder reads it: `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adabelief_lab.common.errors import LabError, MissingDataError, needs_extra

Split = Literal["train", "val"]

VARIABLE = "ADABELIEF_IMAGENET"
SPLITS: tuple[Split, ...] = ("train", "val")
HOME = "image-net.org/download.php"
LAYOUT = "train/CLASS/*.JPEG and val/CLASS/*.JPEG"

# Russakovsky et al. 2015, Table 2: ILSVRC 2012.
CLASSES, TRAIN, VAL = 1_000, 1_281_167, 50_000


@dataclass(frozen=True)
class ImageNet:
    """Two torchvision ImageFolders without transforms, of the same classes."""

    train: Any
    val: Any

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.train.classes)


class Images:
    """Some of a folder's images by number, each as what `transform` makes of it, and its class.

    Args:
        folder: of `ImageNet`.
        chosen: indices of the images in it; int64 (n,).
        transform: PIL image -> tensor.
    """

    def __init__(
        self, folder: Any, chosen: NDArray[np.int64], transform: Callable[[Any], Tensor]
    ) -> None:
        self._folder, self._chosen, self._transform = folder, chosen, transform

    def __len__(self) -> int:
        """How many."""
        return len(self._chosen)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image `index`.

        Raises:
            LabError: names the file that is no image.
        """
        image, label = self._folder[int(self._chosen[index])]
        return self._transform(image), label


def load(*, whole: bool) -> ImageNet:
    """The images in the folder that the environment variable names.

    Args:
        whole: insist on as many images and classes as ImageNet 2012 has.

    Raises:
        MissingDataError: the folder or a split is not there; the message says where they belong.
        LabError: a class without images, splits of other classes, or not ImageNet.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        msg = f"set {VARIABLE} to the folder with ImageNet as {LAYOUT}"
        raise MissingDataError(msg)
    found = read_folder(Path(named).absolute())
    counts = (found.classes, len(found.train), len(found.val))
    if whole and counts != (CLASSES, TRAIN, VAL):
        msg = (
            f"{named} must hold ImageNet 2012, {CLASSES:,} classes, {TRAIN:,} + {VAL:,} images, "
            "got {:,} classes, {:,} + {:,}; presets quick and smoke take any images".format(*counts)
        )
        raise LabError(msg)
    return found


@lru_cache(maxsize=1)
def read_folder(folder: Path) -> ImageNet:
    """The two splits of `folder`. Names are read, images are not.

    Cached because a process makes many runs, and a million names take a while.

    Raises:
        MissingDataError: names the split that is missing, and where it is obtained.
        LabError: a split without class folders, a class without images, splits of other classes.
    """
    names = {split: _classes(folder, split) for split in SPLITS}
    lacking = {
        "train": sorted(names["val"] - names["train"]),
        "val": sorted(names["train"] - names["val"]),
    }
    for split, classes in lacking.items():
        if classes:
            msg = (
                f"{folder}: train and val must have the same classes, {split} lacks "
                f"{_some(classes)}"
            )
            raise LabError(msg)
    return ImageNet(*(_folder(folder / split) for split in SPLITS))


def check() -> ImageNet:
    """What `load` makes of the folder, and the first and the last image of each split, decoded.

    All of a real one would take hours.

    Raises:
        MissingDataError: see `load`.
        LabError: see `load`, or an image that cannot be read.
    """
    found = load(whole=False)
    for split in (found.train, found.val):
        for index in (0, len(split) - 1):
            split[index]
    return found


def held_out(train: Any, part: int) -> NDArray[np.bool_]:
    """Which images of an ImageFolder tune: the last of `part` of each class, 1 at least; bool (n,).

    Raises:
        LabError: a class has nothing to spare.
    """
    labels = np.asarray(train.targets)
    chosen = np.zeros(len(labels), dtype=bool)
    for label, name in enumerate(train.classes):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            msg = (
                f"{train.root}: every class needs 2 images, one to train and one to tune on, "
                f"{name} has {len(members)}"
            )
            raise LabError(msg)
        chosen[members[-max(1, len(members) // part) :]] = True
    return chosen


def _classes(folder: Path, split: Split) -> set[str]:
    inside = folder / split
    if not inside.is_dir():
        msg = f"{folder}: missing {split}, one of {LAYOUT}. ImageNet is at {HOME}"
        raise MissingDataError(msg)
    found = {path.name for path in inside.iterdir() if path.is_dir()}
    if not found:
        msg = (
            f"{inside} must hold a folder for each class, got none; images that lie in it belong "
            "in those of their classes"
        )
        raise LabError(msg)
    return found


def _folder(path: Path) -> Any:
    with needs_extra("a folder of images", "torchvision", "vision"):
        from torchvision.datasets import ImageFolder  # noqa: PLC0415, an extra
    try:
        return ImageFolder(str(path), loader=_image)
    except FileNotFoundError as error:
        msg = f"{path}: every class needs images. {error}"
        raise LabError(msg) from error


def _image(path: str) -> Any:
    """A file's image as RGB, by torchvision's loader."""
    from torchvision.datasets.folder import pil_loader  # noqa: PLC0415, an extra

    try:
        return pil_loader(path)
    except (OSError, SyntaxError, ValueError) as error:  # what PIL raises of damaged files
        msg = f"{path}: cannot be read as an image: {error}"
        raise LabError(msg) from error


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest
