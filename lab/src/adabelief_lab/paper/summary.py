"""The exhibits of a folder as Markdown: docs/paper.md is written by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from adabelief_lab.paper.exhibit import cell
from adabelief_lab.paper.record import ExhibitRecord


def markdown(records: Sequence[ExhibitRecord], folder: str) -> str:
    """Claims first, then each exhibit; pictures and records are linked under `folder`."""
    return "\n".join(_lines(records, folder)) + "\n"


def _lines(records: Sequence[ExhibitRecord], folder: str) -> Iterator[str]:
    yield "# The paper's claims, and what we measured"
    yield ""
    yield (
        "Written by `adabelief reproduce --markdown` from the records under "
        f"[{folder.replace('../', '')}]({folder}); no number and no verdict was typed by hand."
    )
    yield ""
    yield "| where | the paper | measured | verdict |"
    yield "| --- | --- | --- | --- |"
    for record in records:
        for claim in record.findings.claims:
            cells = (
                f"[{claim.source}](#{record.exhibit})", claim.says, claim.measured,
                claim.verdict if claim.verdict == "holds" else f"**{claim.verdict}**",
            )  # fmt: skip
            yield f"| {' | '.join(map(_escaped, cells))} |"
    there = {record.exhibit for record in records}
    for record in records:
        yield from _exhibit(record, folder, there)


def _exhibit(record: ExhibitRecord, folder: str, there: Set[str]) -> Iterator[str]:
    yield ""
    yield f'<a id="{record.exhibit}"></a>'
    yield ""
    yield f"## {record.title}"
    yield ""
    yield (
        f"{record.source}. `adabelief reproduce {record.exhibit}`, {record.seconds:.0f} s, torch "
        f"{record.environment['torch']}; [record]({folder}/{record.exhibit}/record.json)."
    )
    for drawing in record.drawings:
        yield ""
        if other := drawing.get("exhibit"):
            yield f"[{drawing['caption']}](#{other})" if other in there else drawing["caption"]
            continue
        path = f"{folder}/{record.exhibit}/{drawing['name']}"
        shown = next((kind for kind in ("gif", "png") if kind in drawing["formats"]), None)
        if shown is None:
            kind = drawing["formats"][0]
            yield f"[{drawing['caption']}]({path}.{kind})"
        else:
            yield f"![{drawing['caption']}]({path}.{shown})"
    for table in record.findings.tables:
        yield ""
        yield f"**{table.title}**"
        yield ""
        yield f"| {' | '.join(map(_escaped, table.head))} |"
        yield f"| --- |{' ---: |' * (len(table.head) - 1)}"
        for row in table.rows:
            yield f"| {' | '.join(_escaped(cell(value)) for value in row)} |"
        if table.note:
            yield ""
            yield table.note


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
