"""The idx format of MNIST and its relatives: magic, dimensions, then bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def content(path: Path) -> bytes:
    """Bytes of a file, unpacked if it is gzipped, whatever its name says.

    Raises:
        LabError: the gzip stream is damaged; the message names the file.
    """
    raw = path.read_bytes()
    if not raw.startswith(_GZIP_MAGIC):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        msg = f"{path}: damaged gzip file: {error}"
        raise LabError(msg) from error


def parse(raw: bytes, ndim: int, name: str) -> NDArray[np.uint8]:
    """The array of `ndim` dimensions in the content of an idx file of unsigned bytes.

    Args:
        raw: the whole file, unpacked.
        ndim: dimensions it must have.
        name: name of the file, for messages.

    Raises:
        LabError: it is not such a file, or not a whole one.
    """
    header = 4 + 4 * ndim
    if len(raw) < header:
        msg = f"{name}: truncated: {len(raw)} bytes, its header alone has {header}"
        raise LabError(msg)
    # Two zero bytes, the type of the elements, the number of dimensions.
    zeros, kind, found_ndim = struct.unpack(">HBB", raw[:4])
    if zeros != 0 or kind != _UNSIGNED_BYTE:
        msg = f"{name}: not an idx file of unsigned bytes: it starts with 0x{raw[:4].hex()}"
        raise LabError(msg)
    if found_ndim != ndim:
        msg = f"{name}: has {found_ndim} dimensions, expected {ndim}"
        raise LabError(msg)
    shape = struct.unpack(f">{ndim}I", raw[4:header])
    size = math.prod(shape)
    if len(raw) - header != size:
        problem = "truncated" if len(raw) - header < size else "too long"
        msg = f"{name}: {problem}: shape {shape} needs {size} bytes, got {len(raw) - header}"
        raise LabError(msg)
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy()
