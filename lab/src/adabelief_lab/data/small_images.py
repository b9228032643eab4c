"""Small images and their classes in one form, whichever set they are of."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adabelief_lab.data import cifar, fashion_mnist
from adabelief_lab.data.held_out import last_of_each_class

Source = Literal["fashion", "fashion-full", "cifar10"]

# Of each class of the train images, the last tenth is held out.
_ONE_IN = 10


class Images(NamedTuple):
    """Images uint8 (n, c, h, w) and their classes int64 (n,)."""

    images: Tensor
    labels: Tensor


class Splits(NamedTuple):
    """What is trained on, and what is held out twice."""

    train: Images
    valid: Images
    test: Images


@lru_cache(maxsize=2)
def load(source: Source, *, hold_out: bool) -> Splits:
    """The set in its three parts; nobody may write to these tensors.

    Args:
        source: "fashion", embedded; "fashion-full" and "cifar10" in the folders that
            ADABELIEF_FASHION_MNIST and ADABELIEF_CIFAR10 name.
        hold_out: the last tenth of each class is not trained on; else all of them are, and "valid"
            is the test images.

    Raises:
        MissingDataError: the folder is not named, or files are missing.
        LabError: files are damaged or of another version.
    """
    if source == "cifar10":
        theirs = cifar.load("cifar10")
        train = (theirs.train_images, theirs.train_labels)
        test = (theirs.test_images, theirs.test_labels)
    else:
        data = fashion_mnist.load("embedded" if source == "fashion" else "full")
        train = (data.train_images[:, None], data.train_labels)
        test = (data.test_images[:, None], data.test_labels)
    held_out = last_of_each_class(train[1], _ONE_IN) & hold_out
    tested = _images(*test)
    return Splits(
        train=_images(train[0][~held_out], train[1][~held_out]),
        valid=_images(train[0][held_out], train[1][held_out]) if hold_out else tested,
        test=tested,
    )


def classes(source: Source) -> int:
    """How many there are."""
    return cifar.CLASSES["cifar10"] if source == "cifar10" else len(fashion_mnist.CLASSES)


def channels(source: Source) -> int:
    """Of an image."""
    return 3 if source == "cifar10" else 1


def _images(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Images:
    return Images(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels).long())
