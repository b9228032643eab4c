"""Figures of exhibits: matplotlib without a display, one look, equal numbers give equal files.

Matplotlib is imported when something is drawn, so that the list of exhibits appears at once.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from adabelief_lab.report.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One colour for each optimizer in all exhibits; the baseline's is the report's.
COLORS = {
    "AdaBelief": LIGHT[0],
    "Adam": LIGHT[1],
    "SGD": LIGHT[2],
    "SGD (EMA)": LIGHT[3],
    "EAdam": LIGHT[4],
}
LINES = {
    "AdaBelief": "solid",
    "Adam": (0, (6, 2)),
    "SGD": (0, (6, 2, 1.5, 2)),
    "SGD (EMA)": (0, (1.5, 1.8)),
    "EAdam": (0, (10, 3)),
}
FORMATS = ("png", "pdf")


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, in the look of the report."""
    with look():
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415

        made = Figure(figsize=(width, height), dpi=150, layout="constrained")
        FigureCanvasAgg(made)
        return made


def look() -> Any:
    """A context in which axes are made and filled in the look of the report."""
    from matplotlib import rc_context  # noqa: PLC0415

    from adabelief_lab.report.figures import STYLE  # noqa: PLC0415

    # Mathematics may stand in labels: they are ours.
    return rc_context({**STYLE, "text.parse_math": True})


def saved(made: Figure) -> dict[str, bytes]:
    """The figure in each of `FORMATS`; equal figures make equal files."""
    from adabelief_lab.report.figures import METADATA  # noqa: PLC0415

    files = {}
    with look():
        for name in FORMATS:
            file = BytesIO()
            made.savefig(file, format=name, metadata=METADATA[name])
            files[name] = file.getvalue()
    return files
