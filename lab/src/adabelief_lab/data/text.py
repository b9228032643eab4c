"""Texts that language models are trained on: two known ones, and the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import penn, sotu, utf8
from adabelief_lab.data.words import SPLITS, UNKNOWN, Corpus, corpus, words

# Of a single file's lines, in their order: the rest is trained on.
_VALID_SHARE = _TEST_SHARE = 0.05


@lru_cache(maxsize=2)
def load(name: str, vocabulary: int) -> Corpus:
    """The text `name` as numbered words.

    Args:
        name: "ptb", "sotu", or a path: of a folder with train.txt, valid.txt and test.txt, or of
            one file, whose last lines are held out. UTF-8, a line a paragraph or sentence.
        vocabulary: words that the model knows. A text that has `<unk>` in it was cut to its
            vocabulary by somebody and is taken as it stands; of any other the most frequent words
            are taken.

    Raises:
        MissingDataError: it is not there.
        LabError: it is empty, is no UTF-8, or has more words than `vocabulary` and `<unk>` too.
    """
    if vocabulary < 3:
        msg = (
            f"vocabulary must be at least 3, of which {UNKNOWN} and <eos> are two, got {vocabulary}"
        )
        raise LabError(msg)
    found = KNOWN[name](vocabulary) if name in KNOWN else _own(Path(name), vocabulary)
    if len(found.vocabulary) > vocabulary:
        msg = (
            f"text {name!r} has a vocabulary of {len(found.vocabulary)} words and {UNKNOWN} for "
            f"others: the option vocabulary must be at least that, got {vocabulary}"
        )
        raise LabError(msg)
    return found


def _sotu(vocabulary: int) -> Corpus:
    text = sotu.load()
    return corpus({split: map(words, getattr(text, split)) for split in SPLITS}, vocabulary)


KNOWN: Mapping[str, Callable[[int], Corpus]] = {
    "ptb": lambda vocabulary: penn.load(),
    "sotu": _sotu,
}


@lru_cache(maxsize=2)
def load_bytes(name: str) -> Mapping[str, Tensor]:
    """The text `name` as UTF-8 bytes of each split, int64 (bytes,), with a line feed between lines.

    Args:
        name: "sotu", or a path as for `load`.

    Raises:
        MissingDataError: it is not there.
        LabError: it is empty, or is no UTF-8.
    """
    if name == "sotu":
        text = sotu.load()
        lines: Mapping[str, Sequence[str]] = {split: getattr(text, split) for split in SPLITS}
    else:
        lines = _own_lines(Path(name), "sotu")
    return {
        split: torch.frombuffer(bytearray("\n".join(each).encode()), dtype=torch.uint8).long()
        for split, each in lines.items()
    }


def files(options: Mapping[str, Any]) -> list[Path]:
    """What is read of the user's for the option "text", if there is one."""
    name = options.get("text", "sotu")
    if name in KNOWN:
        return []
    path = Path(name)
    return [path / f"{split}.txt" for split in SPLITS] if path.is_dir() else [path]


def _own(path: Path, vocabulary: int) -> Corpus:
    lines = _own_lines(path, ", ".join(KNOWN))
    if any(UNKNOWN in line.split() for line in lines["train"]):
        return corpus({split: map(str.split, each) for split, each in lines.items()})
    return corpus({split: map(words, each) for split, each in lines.items()}, vocabulary)


def _own_lines(path: Path, known: str) -> Mapping[str, Sequence[str]]:
    if path.is_dir():
        names = {split: path / f"{split}.txt" for split in SPLITS}
        if missing := [file.name for file in names.values() if not file.is_file()]:
            msg = f"{path}: missing {', '.join(missing)}; a folder has one file for each split"
            raise MissingDataError(msg)
        return {split: _lines(file) for split, file in names.items()}
    if path.is_file():
        return _divided(path, _lines(path))
    msg = f"text must be {known}, or the path of a file or folder, got {str(path)!r}"
    raise MissingDataError(msg)


def _lines(file: Path) -> list[str]:
    return [line for line in utf8.read(file).split("\n") if line.strip()]


def _divided(file: Path, lines: Sequence[str]) -> dict[str, Sequence[str]]:
    valid, test = (max(1, round(share * len(lines))) for share in (_VALID_SHARE, _TEST_SHARE))
    train = len(lines) - valid - test
    if train < 1:
        msg = f"{file} must have at least 3 lines, one for each split, got {len(lines)}"
        raise LabError(msg)
    return {
        "train": lines[:train],
        "valid": lines[train : train + valid],
        "test": lines[train + valid :],
    }
