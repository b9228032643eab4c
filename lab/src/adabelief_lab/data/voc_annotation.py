"""What PASCAL VOC's XML says of an image: its size, and boxes with their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError


@dataclass(frozen=True)
class Annotation:
    """The objects of one image.

    Args:
        size: width and height in pixels.
        boxes: (n, 4) float32, left, top, right, bottom; edges of pixels, from 0 to width or height.
        labels: (n,) int64, 1 for the first class: 0 is the background in torchvision.
        difficult: (n,) bool: VOC neither asks for these nor minds their being found.
    """

    size: tuple[int, int]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]


def parse(content: bytes, classes: Sequence[str], source: str) -> Annotation:
    """Read one XML.

    Args:
        content: of the file.
        classes: names that objects may have.
        source: the file's name, for messages.

    Raises:
        LabError: broken, of another kind, a box that is empty or leaves the image, another class.
    """
    try:
        root = ElementTree.fromstring(content)
        size = (_pixels(root, "size/width"), _pixels(root, "size/height"))
        objects = root.findall("object")
        boxes = [_box(each, size) for each in objects]
        labels = [_label(each, classes) for each in objects]
    except (ElementTree.ParseError, ValueError) as error:
        msg = f"{source}: {error}"
        raise LabError(msg) from error
    difficult = [each.findtext("difficult", "0").strip() == "1" for each in objects]
    return Annotation(
        size,
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(labels, dtype=np.int64),
        np.array(difficult, dtype=np.bool_),
    )


def _box(element: ElementTree.Element, size: tuple[int, int]) -> tuple[float, ...]:
    """VOC counts pixels from 1 and its boxes include the last one; edges are counted from 0."""
    xmin, ymin, xmax, ymax = (
        _number(element, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")
    )
    # Some tools count from 0: their box may begin at 0.
    inside = 0 <= xmin <= xmax <= size[0] and 0 <= ymin <= ymax <= size[1]
    left, top = max(xmin - 1, 0.0), max(ymin - 1, 0.0)
    if not inside or not (left < xmax and top < ymax):
        msg = (
            f"a box must be within the {size[0]} × {size[1]} pixels and not empty, "
            f"got xmin, ymin, xmax, ymax = {xmin:g}, {ymin:g}, {xmax:g}, {ymax:g}"
        )
        raise ValueError(msg)
    return left, top, xmax, ymax


def _label(element: ElementTree.Element, classes: Sequence[str]) -> int:
    name = element.findtext("name", "").strip()
    if name not in classes:
        msg = f"an object must be one of {', '.join(classes)}, got {name!r}"
        raise ValueError(msg)
    return 1 + classes.index(name)


def _pixels(element: ElementTree.Element, path: str) -> int:
    value = _number(element, path)
    if value < 1 or value != int(value):
        msg = f"{path} must be a whole number of 1 or more, got {value:g}"
        raise ValueError(msg)
    return int(value)


def _number(element: ElementTree.Element, path: str) -> float:
    text = element.findtext(path)
    try:
        return float(text or "")
    except ValueError:
        msg = f"{element.tag} must have a number at {path}, got {text!r}"
        raise ValueError(msg) from None
