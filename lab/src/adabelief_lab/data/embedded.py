"""Data sets in this package."""

from __future__ import annotations

import hashlib
from importlib import resources

from adabelief_lab.common.errors import LabError


def read(name: str, sha256: str) -> bytes:
    """The contents of a file beside this one.

    Raises:
        LabError: it is not the one that came with the package.
    """
    packed = resources.files(__package__).joinpath(name).read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if digest != sha256:
        msg = f"{name}: sha256 must be {sha256}, got {digest}"
        raise LabError(msg)
    return packed
