"""An exhibit's record: what it found, with what, and how long that took; a JSON file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adabelief_lab.common import atomic_files
from adabelief_lab.common.code_version import file_hashes
from adabelief_lab.common.environment import environment
from adabelief_lab.common.errors import LabError
from adabelief_lab.paper.exhibit import Claim, Drawing, Exhibit, Findings, Table
from adabelief_lab.paper.single_thread import one_thread

FORMAT = 1
NAME = "record.json"


@dataclass(frozen=True)
class ExhibitRecord:
    """Findings with their provenance.

    Args:
        exhibit: name.
        title: its title.
        source: where in the paper.
        code: sixteen hex digits, of the files of this project that the exhibit can reach.
        environment: as of runs.
        seconds: that measuring took, or the runs that were measured.
        findings: data, tables and claims.
        drawings: name, caption and formats of each picture beside the record; a link to another
            exhibit names that exhibit and has no formats.
    """

    exhibit: str
    title: str
    source: str
    code: str
    environment: Mapping[str, Any]
    seconds: float
    findings: Findings
    drawings: Sequence[Mapping[str, Any]]


def code(exhibit: Exhibit) -> str:
    """A digest of the files that the exhibit can reach: records of other versions are made anew."""
    functions = (getattr(each, "func", each) for each in (exhibit.measure, exhibit.draw))
    hashes = file_hashes(*(function.__module__ for function in functions))
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:16]


def make(exhibit: Exhibit, folder: Path) -> ExhibitRecord:
    """Measure, draw, and write all of it under `folder`, the record last.

    Raises:
        StorageError: a file could not be written.
    """
    start = time.perf_counter()
    with one_thread():
        facts = environment()
        measured = exhibit.measure()
    seconds = time.perf_counter() - start
    # As it will be read back: what is drawn now is what is drawn from the record.
    found = _findings(json.loads(json.dumps(asdict(measured), allow_nan=False)))
    drawn = list(exhibit.draw(found.data))
    for drawing in drawn:
        for kind, picture in drawing.files.items():
            atomic_files.replace(folder / f"{drawing.name}.{kind}", picture)
    record = ExhibitRecord(
        exhibit=exhibit.name,
        title=exhibit.title,
        source=exhibit.source,
        code=code(exhibit),
        environment=facts,
        seconds=round(seconds, 1) if measured.seconds is None else measured.seconds,
        findings=found,
        drawings=[_described(drawing) for drawing in drawn],
    )
    content = {"format": FORMAT, **asdict(record)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    atomic_files.replace(folder / NAME, (text + "\n").encode())
    return record


def read_record(folder: Path) -> ExhibitRecord | None:
    """The record there, or None if there is none.

    Raises:
        LabError: it is damaged, or of another format.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read ({error}); --again makes it anew"
        raise LabError(msg) from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        msg = f"{path} must be of format {FORMAT}; --again makes it anew"
        raise LabError(msg)
    try:
        return ExhibitRecord(**{**content, "findings": _findings(content["findings"])})
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path} is damaged ({error}); --again makes it anew"
        raise LabError(msg) from error


def _described(drawing: Drawing) -> Mapping[str, Any]:
    told = {"name": drawing.name, "caption": drawing.caption, "formats": list(drawing.files)}
    return {**told, "exhibit": drawing.exhibit} if drawing.exhibit else told


def _findings(content: Mapping[str, Any]) -> Findings:
    tables = [
        Table(
            title=table["title"],
            head=tuple(table["head"]),
            rows=tuple(tuple(row) for row in table["rows"]),
            note=table["note"],
        )
        for table in content["tables"]
    ]
    return Findings(content["data"], tables, [Claim(**claim) for claim in content["claims"]])
