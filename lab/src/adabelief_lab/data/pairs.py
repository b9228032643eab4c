"""Sentences in two languages: an embedded set, IWSLT14, and a user's own."""

from __future__ import annotations

import lzma
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import embedded, utf8
from adabelief_lab.data.words import SPLITS

SOURCE, TARGET = "de", "en"
EMBEDDED = "lohelp_en_de.tsv.xz"
EMBEDDED_SHA256 = "f263124fa615de3e31e5c1318341424625f2aa20cb2b0b9f8b1da7d5bdeac17f"
VARIABLE = "ADABELIEF_IWSLT14"
FILES = tuple(f"{split}.{language}" for split in SPLITS for language in (SOURCE, TARGET))
# fairseq's examples/translation/prepare-iwslt14.sh prints them.
IWSLT14 = {"train": 160_239, "valid": 7_283, "test": 6_750}


class Pairs(NamedTuple):
    """Sentences and what they mean in the other language: place by place."""

    source: tuple[str, ...]
    target: tuple[str, ...]


@lru_cache(maxsize=2)
def load(name: str) -> Mapping[str, Pairs]:
    """German and English, by split.

    Args:
        name: "help", embedded; "iwslt14", in the folder that `VARIABLE` names; or a folder of the
            user's own, with one sentence a line in each of `FILES`, whatever the languages are.

    Raises:
        MissingDataError: a folder or a split is not there.
        LabError: a file is damaged, no UTF-8, or empty; or its lines are not pairs.
    """
    if name == "help":
        return _help()
    if name != "iwslt14":
        return _folder(Path(name), "text must be help, iwslt14, or the path of a folder")
    folder = os.environ.get(VARIABLE)
    if not folder:
        msg = (
            f"set {VARIABLE} to the folder with {', '.join(FILES)}, tokenized but not yet in "
            "subwords: fairseq's prepare-iwslt14.sh leaves it as iwslt14.tokenized.de-en/tmp"
        )
        raise MissingDataError(msg)
    found = _folder(Path(folder), f"{VARIABLE} must be a folder")
    for split, expected in IWSLT14.items():
        if len(found[split].source) != expected:
            msg = (
                f"{folder}: {split} of IWSLT14 must have {expected:,} pairs, "
                f"got {len(found[split].source):,}"
            )
            raise LabError(msg)
    return found


def files(options: Mapping[str, Any]) -> list[Path]:
    """What is read of the user's for the option "text"."""
    own = options["text"] not in ("help", "iwslt14")
    return [Path(options["text"]) / name for name in FILES] if own else []


def _help() -> Mapping[str, Pairs]:
    packed = embedded.read(EMBEDDED, EMBEDDED_SHA256)
    rows = [line.split("\t") for line in lzma.decompress(packed).decode().splitlines()]
    return {
        split: _paired(
            EMBEDDED,
            [german for where, _, german in rows if where == split],
            [english for where, english, _ in rows if where == split],
        )
        for split in SPLITS
    }


def _folder(folder: Path, required: str) -> Mapping[str, Pairs]:
    if not folder.is_dir():
        msg = f"{required}, got {str(folder)!r}"
        raise MissingDataError(msg)
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        msg = f"{folder}: missing {', '.join(missing)}: a file for each split and language"
        raise MissingDataError(msg)
    return {
        split: _paired(
            f"{folder / split}.{SOURCE} and .{TARGET}",
            _lines(folder / f"{split}.{SOURCE}"),
            _lines(folder / f"{split}.{TARGET}"),
        )
        for split in SPLITS
    }


def _lines(file: Path) -> list[str]:
    return utf8.read(file).removesuffix("\n").split("\n")


def _paired(where: str, source: Sequence[str], target: Sequence[str]) -> Pairs:
    if len(source) != len(target):
        msg = f"{where} must have equally many lines, got {len(source):,} and {len(target):,}"
        raise LabError(msg)
    for number, both in enumerate(zip(source, target, strict=True), start=1):
        if not all(side.strip() for side in both):
            msg = f"{where}: line {number} must have text on both sides, got {both}"
            raise LabError(msg)
    return Pairs(tuple(source), tuple(target))
