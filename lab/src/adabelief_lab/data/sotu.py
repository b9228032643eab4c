"""The State of the Union addresses, 1790-2021: ten million characters of English, embedded."""

from __future__ import annotations

import lzma
from dataclasses import dataclass

from adabelief_lab.common.errors import LabError
from adabelief_lab.data import embedded
from adabelief_lab.data.words import SPLITS

EMBEDDED = "sotu.txt.xz"
EMBEDDED_SHA256 = "58130ae69f83f703d680b87bd5483582b41da76705aea38e971545f718a38934"


@dataclass(frozen=True)
class StateOfTheUnion:
    """Addresses as they were given, each one line of text; no address is in two splits."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


def load() -> StateOfTheUnion:
    """The embedded addresses.

    Raises:
        LabError: the file is not the one that came with the package.
    """
    packed = embedded.read(EMBEDDED, EMBEDDED_SHA256)
    return parse(lzma.decompress(packed).decode())


def parse(text: str) -> StateOfTheUnion:
    """Split lines of `split<TAB>address`.

    Raises:
        LabError: a line has no split, or one that there is not; the message has its number.
    """
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    # Not splitlines: it would also cut at characters that addresses may have.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        split, tab, address = line.partition("\t")
        if not tab or split not in found:
            msg = (
                f"line {number} must begin with one of {', '.join(SPLITS)} and a tab, "
                f"got {line[:20]!r}"
            )
            raise LabError(msg)
        found[split].append(address)
    return StateOfTheUnion(**{split: tuple(addresses) for split, addresses in found.items()})
