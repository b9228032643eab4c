"""Figures of exhibits: matplotlib without a display, one look, equal numbers give equal files."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from adabelief.lab.report.figures import METADATA, STYLE
from adabelief.lab.report.palette import LIGHT

try:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as error:
    MISSING = 'figures need matplotlib: pip install "adabelief[report]"'
    raise ImportError(MISSING) from error

# One colour for each optimizer in all exhibits; the subject's is the report's.
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
# Mathematics may stand in labels here: they are ours.
LOOK: Any = {**STYLE, "text.parse_math": True}


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, in the look of the report."""
    with mpl.rc_context(LOOK):
        made = Figure(figsize=(width, height), dpi=150, layout="constrained")
        FigureCanvasAgg(made)
        return made


def look() -> Any:
    """A context in which axes are made and filled in the look of the report."""
    return mpl.rc_context(LOOK)


def saved(made: Figure) -> dict[str, bytes]:
    """The figure in each of `FORMATS`."""
    files = {}
    with mpl.rc_context(LOOK):
        for name in FORMATS:
            file = BytesIO()
            made.savefig(file, format=name, metadata=METADATA[name])
            files[name] = file.getvalue()
    return files
