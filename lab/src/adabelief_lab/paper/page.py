"""The exhibits of a folder as one web page that opens offline."""

from __future__ import annotations

import base64
from collections.abc import Sequence, Set
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from adabelief_lab.common.errors import LabError
from adabelief_lab.paper.exhibit import cell
from adabelief_lab.paper.record import ExhibitRecord

# Formats that a page shows, the best first; others are linked.
SHOWN = {"gif": "image/gif", "png": "image/png"}


def html(records: Sequence[ExhibitRecord], root: Path) -> str:
    """The page; pictures are within it, other formats and pages beside it are linked."""
    there = {record.exhibit for record in records}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["cell"] = cell
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        records=[(record, [_shown(record, each, root, there) for each in record.drawings])
                 for record in records],
        style=Markup(resources.files(__package__).joinpath("page.css").read_text("utf-8")),
    )  # fmt: skip


def _shown(record: ExhibitRecord, drawing: Any, root: Path, there: Set[str]) -> dict[str, Any]:
    if other := drawing.get("exhibit"):
        links = [(other, f"#{other}")] if other in there else []
        return {"caption": drawing["caption"], "source": None, "links": links}
    folder = root / record.exhibit
    shown = next((kind for kind in SHOWN if kind in drawing["formats"]), None)
    source = None
    if shown is not None:
        path = folder / f"{drawing['name']}.{shown}"
        try:
            content = path.read_bytes()
        except OSError as error:
            msg = f"{path} cannot be read ({error.strerror}); --again makes it anew"
            raise LabError(msg) from error
        source = f"data:{SHOWN[shown]};base64,{base64.b64encode(content).decode()}"
    links = [(kind, f"{record.exhibit}/{drawing['name']}.{kind}") for kind in drawing["formats"]]
    return {"caption": drawing["caption"], "source": source, "links": links}
