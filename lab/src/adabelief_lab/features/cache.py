"""Features of real images, kept by content: Inception's of 50,000 take hours on a processor."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.errors import StorageError
from adabelief_lab.features.extractor import Extractor, check

VARIABLE = "ADABELIEF_CACHE"

# Raised when features of the same images by the same weights become others: a change of how
# images are prepared.
_VERSION = 1


def features(images: Tensor, extractor: Extractor, *, kept: bool = False) -> Tensor:
    """Features float32 (n, dimensions) of images uint8 (n, c, h, w).

    Args:
        images: see `Extractor`.
        extractor: whose.
        kept: look for them in `folder()` by the contents of images and weights, and leave them
            there; a file that is damaged is made anew, and a folder that cannot be written to is
            done without.

    Raises:
        LabError: these are no images.
    """
    if not kept:
        return extractor(images)
    check(images)
    path = folder() / f"{key(images, extractor)}.npz"
    found = _read(path, (len(images), extractor.dimensions))
    if found is None:
        found = extractor(images)
        file = io.BytesIO()
        np.savez(file, features=found.numpy())
        with suppress(StorageError, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, file.getvalue())
    return found


def folder() -> Path:
    """ADABELIEF_CACHE, or the usual place of what can be made again."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(usual) / "adabelief" / "features"


def key(images: Tensor, extractor: Extractor) -> str:
    """Hex digits of the sha256 of all that features depend on."""
    # GPUs round convolutions otherwise (TF32).
    kind = next(extractor.network.parameters()).device.type
    found = hashlib.sha256(f"{_VERSION} {kind} {extractor.digest} {tuple(images.shape)} ".encode())
    found.update(images.cpu().contiguous().numpy().data)
    return found.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> Tensor | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = torch.from_numpy(arrays["features"])
    except Exception:  # numpy and zipfile raise eight kinds for damage, RuntimeError among them
        return None
    right = found.dtype == torch.float32 and tuple(found.shape) == shape
    return found if right and found.isfinite().all() else None
