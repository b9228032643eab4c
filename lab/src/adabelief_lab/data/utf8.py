"""Text files of users."""

from __future__ import annotations

from pathlib import Path

from adabelief_lab.common.errors import LabError


def read(file: Path) -> str:
    """The text of a file.

    Raises:
        LabError: it is no UTF-8, or nothing is in it; the message names byte and line.
    """
    content = file.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"{file} must be UTF-8, got byte 0x{content[error.start]:02x} in line {line}"
        raise LabError(msg) from None
    if not text.strip():
        msg = f"{file} must have text, got {len(content)} bytes without any"
        raise LabError(msg)
    return text
