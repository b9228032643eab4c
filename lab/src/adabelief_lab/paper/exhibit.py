"""What an exhibit is: a measurement, its drawings, and what the paper says about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

# "not tested": a reduced run says nothing about the statement.
ClaimVerdict = Literal["holds", "holds in part", "does not hold", "not tested"]
Cell = str | int | float


def cell(value: Cell) -> str:
    """Numbers to four digits, texts as they are."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


@dataclass(frozen=True)
class Claim:
    """A statement of the paper beside what was measured.

    Args:
        source: where the paper says it, such as "section 2.2, equation 4".
        says: the statement, in our words.
        measured: the finding, written by code from the numbers.
        verdict: decided by code from the same numbers.
    """

    source: str
    says: str
    measured: str
    verdict: ClaimVerdict


@dataclass(frozen=True)
class Table:
    """Numbers for people: a head, and rows as long as it. `note` says what they are."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse columns without a head, and rows that do not fit it.

        Raises:
            ValueError: with the title.
        """
        if not all(self.head):
            msg = f"every column of {self.title!r} must have a head, got {self.head}"
            raise ValueError(msg)
        if any(len(row) != len(self.head) for row in self.rows):
            msg = f"every row of {self.title!r} must have {len(self.head)} cells"
            raise ValueError(msg)


@dataclass(frozen=True)
class Findings:
    """What a measurement found.

    Args:
        data: all that the drawings need, as JSON has it.
        tables: for people.
        claims: the paper's, with verdicts.
        seconds: what it cost, where that was spent before; None where it was measured now.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    claims: Sequence[Claim] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Drawing:
    """One picture in several formats, or a link to another exhibit that has the pictures.

    Args:
        name: of its files, without the format.
        caption: what is seen.
        files: content by format: "png", "pdf", "gif", "html", ...; a link has none.
        exhibit: the exhibit that a link leads to; "" for a picture.
    """

    name: str
    caption: str
    files: Mapping[str, bytes]
    exhibit: str = ""


@dataclass(frozen=True)
class Exhibit:
    """A figure, table, equation or theorem of the paper, as a program.

    Args:
        name: as in `adabelief reproduce NAME`.
        title: a line.
        source: where in the paper.
        measure: makes the numbers; the same ones every time on the same machine.
        draw: draws from `Findings.data` as it comes back from JSON.
        kept: a record by the same code need not be made anew; false where more decides.
    """

    name: str
    title: str
    source: str
    measure: Callable[[], Findings]
    draw: Callable[[Mapping[str, Any]], Iterator[Drawing]]
    kept: bool = True
