"""What a task makes, as rows of a run: small images over training, from the same noise."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.declare.workload import Task

SPLIT = "pictures"
_COUNT = 32


def picture_rows(task: Task, step: int) -> Iterator[dict[str, Any]]:
    """The task's pictures after that many steps; none if it makes none."""
    images = task.pictures(_COUNT)
    if images is None:
        return
    yield {"step": step, "split": SPLIT, **packed(images.numpy())}


def packed(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Images (n, c, h, w) as JSON has them."""
    content = zlib.compress(np.ascontiguousarray(images).tobytes(), level=9)
    return {"shape": list(images.shape), "zlib": base64.b64encode(content).decode("ascii")}


def pictures(row: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The images (n, c, h, w) that `packed` packed."""
    content = zlib.decompress(base64.b64decode(row["zlib"]))
    return np.frombuffer(content, np.uint8).reshape(row["shape"])
