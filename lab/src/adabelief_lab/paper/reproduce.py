"""Exhibits made, or kept where they were made by the same code; and the page of a whole folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from adabelief_lab.common import atomic_files
from adabelief_lab.paper import record
from adabelief_lab.paper.catalogue import NAMES
from adabelief_lab.paper.exhibit import Exhibit
from adabelief_lab.paper.record import ExhibitRecord

PAGE = "index.html"
# Called with an exhibit before it is measured, and with its record when it is there.
Tell = Callable[[Exhibit, ExhibitRecord | None], None]


def reproduce(
    exhibits: Sequence[Exhibit], root: Path, *, again: bool = False, tell: Tell | None = None
) -> Path:
    """Make each exhibit in its folder under `root`; a record by this very code is kept.

    Args:
        exhibits: which.
        root: a folder for all of them.
        again: make all of them anew.
        tell: hears of progress.

    Returns:
        The page of all exhibits that are under `root`.

    Raises:
        LabError: a record is damaged; `again` makes it anew.
        StorageError: a file could not be written.
    """
    for exhibit in exhibits:
        folder = root / exhibit.name
        found = None if again or not exhibit.kept else record.read_record(folder)
        if found is None or found.code != record.code(exhibit):
            if tell is not None:
                tell(exhibit, None)
            found = record.make(exhibit, folder)
        if tell is not None:
            tell(exhibit, found)
    return write_page(root)


def records(root: Path) -> list[ExhibitRecord]:
    """The records under `root`, in the paper's order.

    Raises:
        LabError: one is damaged.
    """
    found = (record.read_record(root / name) for name in NAMES)
    return [each for each in found if each is not None]


def write_page(root: Path) -> Path:
    """Write the page anew, from the records and pictures under `root`."""
    from adabelief_lab.paper.page import html  # noqa: PLC0415, slow to import

    atomic_files.replace(root / PAGE, html(records(root), root).encode())
    return root / PAGE
