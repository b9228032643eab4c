"""The charts as PNG, PDF and SVG files, drawn by matplotlib without a display."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from adabelief_lab.report.chart import FORMATS, Chart, Line, SeedRow
from adabelief_lab.report.map_figures import draw_panels, panels_height, plain
from adabelief_lab.report.palette import (
    ALERT,
    DASHES,
    FAINT,
    INK,
    LIGHT,
    MARKERS,
    MUTED,
    dash_index,
    marker_index,
)

# Equal charts make equal files: no dates, no random ids.
METADATA: Any = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}

STYLE: Any = {
    "axes.edgecolor": "#b8bfc6",
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titlepad": 12,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.facecolor": "white",
    "font.size": 9.5,
    "grid.color": FAINT,
    "legend.frameon": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "pdf.fonttype": 42,  # journals refuse type 3
    "svg.hashsalt": "adabelief",
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    # An optimizer may be called "$x": labels are text and never mathematics.
    "text.parse_math": False,
}


def files(
    chart: Chart, watermark: str, formats: Sequence[str] = FORMATS
) -> Iterator[tuple[str, bytes]]:
    """The chart on white paper in each format, with the watermark if there is one."""
    with mpl.rc_context(STYLE):
        figure = _figure(chart, watermark)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it is laid out: not again for each format
        for name in formats:
            file = BytesIO()
            figure.savefig(file, format=name, metadata=METADATA[name])
            yield name, file.getvalue()


def _figure(chart: Chart, watermark: str) -> Figure:
    figure = Figure(figsize=(8, _height(chart)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    if chart.panels:
        draw_panels(figure, chart)
    else:
        axes = figure.add_subplot()
        if chart.rows:
            _draw_rows(axes, chart)
        else:
            _draw_lines(axes, chart)
        axes.set_title(chart.title)
        axes.set_xlabel(chart.x_title)
    if watermark and chart.panels:  # their title is where others have the watermark
        figure.supxlabel(watermark, x=0.99, ha="right", fontsize=8, color=ALERT)
    elif watermark:
        figure.suptitle(watermark, x=0.99, ha="right", fontsize=8, color=ALERT)
    return figure


def _height(chart: Chart) -> float:
    """In inches."""
    if chart.panels:
        return panels_height(chart)
    return 1.6 + 0.42 * len(chart.rows) if chart.rows else 4.2


def _draw_lines(axes: Axes, chart: Chart) -> None:
    axes.set_xscale("log" if chart.x_log else "linear")
    axes.set_yscale("log" if chart.y_log else "linear")
    for line in chart.lines:
        _draw_line(axes, line)
    axes.set_ylim(*chart.y_range)
    axes.set_ylabel(chart.y_title)
    if chart.x_log:
        axes.xaxis.set_major_formatter(plain)
    if chart.y_log:
        axes.yaxis.set_major_formatter(plain)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, handlelength=3)


def _draw_line(axes: Axes, line: Line) -> None:
    color = LIGHT[line.style % len(LIGHT)]
    dash = DASHES[dash_index(line.style)][0]
    marker = MARKERS[marker_index(line.style)][0] if line.points else ""
    if line.low:
        axes.fill_between(line.x, line.low, line.high, color=color, alpha=0.13, linewidth=0)
    axes.plot(
        line.x,
        line.y,
        color=color,
        linestyle=dash if line.joined else "",
        linewidth=1.7,
        marker=marker,
        markersize=4.5,
        label=line.label,
    )
    lost = [point.x for point in line.points if point.y is None]
    axes.plot(
        lost,
        [line.edge] * len(lost),
        linestyle="",
        marker="x",
        color=color,
        markersize=6,
    )
    if line.ring and line.ring.y is not None:
        axes.plot(
            [line.ring.x],
            [line.ring.y],
            linestyle="",
            marker="o",
            markersize=12,
            markerfacecolor="none",
            markeredgecolor=color,
            markeredgewidth=1.6,
        )


def _draw_rows(axes: Axes, chart: Chart) -> None:
    for position, row in enumerate(chart.rows):
        _draw_row(axes, row, position)
    axes.set_yticks(range(len(chart.rows)), [row.label for row in chart.rows], color=INK)
    axes.set_ylim(len(chart.rows) - 0.4, -0.6)
    axes.set_xlim(*chart.y_range)
    axes.grid(visible=False, axis="y")


def _draw_row(axes: Axes, row: SeedRow, position: int) -> None:
    color = LIGHT[row.style % len(LIGHT)]
    marker = MARKERS[marker_index(row.style)][0]
    if row.interval:
        reach = row.interval.half_width or 0.0
        axes.plot(
            [row.interval.mean - reach, row.interval.mean + reach],
            [position, position],
            color=color,
            linewidth=7,
            alpha=0.28,
            solid_capstyle="butt",
        )
        axes.plot([row.interval.mean] * 2, [position - 0.22, position + 0.22], color=color, lw=2)
    axes.plot(
        [point.y for point in row.points if point.y is not None],
        [position + jitter(point.x) for point in row.points],
        linestyle="",
        marker=marker,
        color=color,
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )
    axes.plot(
        [row.edge] * len(row.lost),
        [position + jitter(index) for index in range(len(row.lost))],
        linestyle="",
        marker="x",
        color=color,
    )


def jitter(seed: float) -> float:
    """Offset that keeps equal values apart: the same seed sits at the same height in each row."""
    return 0.06 * ((int(seed) * 2) % 5 - 2)
