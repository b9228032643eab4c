"""The idx format of MNIST and its relatives: magic, dimensions, then bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def read(path: Path, ndim: int) -> NDArray[np.uint8]:
    """The array of `ndim` dimensions in an idx file of unsigned bytes, gzipped or not.

    Raises:
        ValueError: the file is not such a file, or not a whole one; the message names it.
    """
    return parse(_content(path), ndim, str(path))


def parse(content: bytes, ndim: int, name: str) -> NDArray[np.uint8]:
    """The array in the content of an idx file; `name` is for messages."""
    header = 4 + 4 * ndim
    if len(content) < header:
        msg = f"{name}: truncated: {len(content)} bytes, an idx header has {header}"
        raise ValueError(msg)
    # Two zero bytes, the type of the elements, the number of dimensions.
    zeros, kind, found_ndim = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind != _UNSIGNED_BYTE:
        msg = f"{name}: not an idx file of unsigned bytes: it starts with 0x{content[:4].hex()}"
        raise ValueError(msg)
    if found_ndim != ndim:
        msg = f"{name}: has {found_ndim} dimensions, expected {ndim}"
        raise ValueError(msg)
    shape = struct.unpack(f">{ndim}I", content[4:header])
    size = math.prod(shape)
    if len(content) - header != size:
        problem = "truncated" if len(content) - header < size else "too long"
        msg = f"{name}: {problem}: shape {shape} needs {size} bytes, got {len(content) - header}"
        raise ValueError(msg)
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        msg = f"{path}: damaged gzip file: {error}"
        raise ValueError(msg) from error
