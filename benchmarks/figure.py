"""The figure of docs/performance.md: every candidate on every shape, on one logarithmic scale."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from adabelief_lab.bench.candidates import BASELINE, CANDIDATES, CEILING, title
from adabelief_lab.bench.models import model
from adabelief_lab.bench.record import BenchRecord
from adabelief_lab.bench.tables import Row, rows

# Label, marker and colour of each kind. Okabe & Ito 2008, darkened for white paper: the
# colour-blind can tell these colours apart.
KINDS = {
    "ours": ("this package", "o", "#0068a8"),
    "peer": ("other AdaBeliefs", "s", "#d1540a"),
    "torch": ("torch.optim", "D", "#555b61"),
}
INK = "#1f2328"
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#b8bfc6",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 8.5,
    "grid.color": "#e4e7ea",
    "legend.frameon": False,
    "text.parse_math": False,
}
ACROSS = 3


def png(record: BenchRecord, threads: int) -> bytes | None:
    """The figure as a PNG file: ratios to the baseline with quartiles, a panel for each shape.

    None if nothing was timed with so many threads.
    """
    shapes = record.shapes("speed", threads)
    if not shapes:
        return None
    ran = {name for timing in record.timings for name in timing.seconds} - {CEILING}
    names = [name for name in CANDIDATES if name in ran]
    down = -(-len(shapes) // ACROSS)
    with mpl.rc_context(STYLE):
        size = (11, 0.9 + down * (0.7 + 0.19 * len(names)))
        figure = Figure(figsize=size, dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False)
        seen: dict[str, Any] = {}
        for axes, shape in zip(panels.flat, shapes, strict=False):
            _panel(axes, rows(record, "speed", shape, threads), names, shape)
            handles, labels = axes.get_legend_handles_labels()
            seen |= dict(zip(labels, handles, strict=True))
        for axes in panels.flat[len(shapes) :]:
            axes.set_visible(False)
        figure.legend(list(seen.values()), list(seen), loc="outside upper center", ncols=4)
        figure.supxlabel(f"time of a step, in times of {title(BASELINE)} (left is faster)")
        file = BytesIO()
        figure.savefig(file, format="png")
        return file.getvalue()


def _panel(axes: Axes, found: list[Row], names: list[str], shape: str) -> None:
    axes.set_title(model(shape).title)
    axes.set_xscale("log")
    axes.grid(visible=True, axis="x", which="both")
    axes.axvline(1, color="#b8bfc6", linewidth=1)
    for row in found:
        if row.kind == "ceiling":
            axes.axvline(row.ratio.median, color=INK, linestyle=(0, (4, 2)), linewidth=1,
                         label="memory ceiling of float32 state")  # fmt: skip
    for kind, (label, marker, color) in KINDS.items():
        own = [row for row in found if row.kind == kind and row.name in names]
        levels = [names.index(row.name) for row in own]
        axes.hlines(levels, [row.ratio.low for row in own], [row.ratio.high for row in own],
                    color=color, alpha=0.4, linewidth=4)  # fmt: skip
        axes.plot([row.ratio.median for row in own], levels, linestyle="", marker=marker,
                  markersize=4, color=color, label=label)  # fmt: skip
    axes.set_yticks(range(len(names)), [title(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda _value, _: "")
