"""Durable files: replaced as a whole or not at all, and failures that name the file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from adabelief_lab.common.errors import StorageError

PARTIAL = ".tmp"  # between a file's name and the number of the process that is writing it


def replace(path: Path, content: bytes) -> None:
    """Write `content` to `path`; a kill at any moment leaves the old file or the new one.

    Raises:
        StorageError: it could not be written; the old file is as it was.
    """
    # A name of its own for each process: two drivers may write the same file.
    temporary = path.with_name(f"{path.name}{PARTIAL}{os.getpid()}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                sync(file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def replace_json(path: Path, model: BaseModel) -> None:
    """Write a declaration or a result as JSON, as `replace` does."""
    replace(path, (model.model_dump_json(indent=1) + "\n").encode())


def is_partial(path: Path) -> bool:
    """Whether `replace` made this file on its way to another, by its name."""
    _, mark, process = path.name.rpartition(PARTIAL)
    return bool(mark) and process.isdigit()


def sweep(folder: Path) -> None:
    """Remove what killed processes had half written. Only for who alone writes in the folder."""
    for path in folder.iterdir():
        if is_partial(path):
            path.unlink(missing_ok=True)


def sync(file: IO[bytes]) -> None:
    """Flush to the disk itself, so that a full disk is an error here and now."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn an OSError inside into a StorageError that names the file and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        msg = (
            f"{path} could not be written: {error.strerror}. What was finished or checkpointed "
            f"before is safe: {'make room' if full else 'put that right'}, then start the same "
            "command again"
        )
        raise StorageError(msg) from error
