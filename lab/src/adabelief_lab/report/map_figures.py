"""Maps of the trials, drawn by matplotlib: cells of a full grid, or dots."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator

from adabelief_lab.report.chart import Cell, Chart, Panel, spans_decades, tick
from adabelief_lab.report.palette import INK, MUTED, SCALE

COLUMNS = 3
# Wider than that, a number does not fit into its cell.
MOST_NUMBERS = 6


def panels_height(chart: Chart) -> float:
    """Of the whole figure, in inches."""
    return 0.9 + 2.3 * math.ceil(len(chart.panels) / COLUMNS)


def draw_panels(figure: Figure, chart: Chart) -> None:
    """One axes for each panel, and one scale of colours for all."""
    worst, best = chart.y_range
    scale = mpl.colormaps[SCALE if worst < best else f"{SCALE}_r"]
    norm = (LogNorm if chart.y_log else Normalize)(min(worst, best), max(worst, best))
    colours = mpl.cm.ScalarMappable(norm, scale)
    grid = figure.subplots(math.ceil(len(chart.panels) / COLUMNS), COLUMNS, squeeze=False)
    for axes in grid.flat[len(chart.panels) :]:
        axes.remove()
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        if panel.grid:
            _draw_cells(axes, panel, colours)
        else:
            _draw_dots(axes, panel, colours)
        axes.set_title(panel.label, fontsize=9.5)
        axes.set_xlabel(panel.x_title)
        axes.set_ylabel(panel.y_title)
        axes.tick_params(labelsize=7.5)
    figure.suptitle(chart.title, x=0.01, ha="left", fontsize=12, color=INK)
    bar = figure.colorbar(colours, ax=list(grid.flat[: len(chart.panels)]), fraction=0.03)
    if chart.y_log:
        bar.ax.yaxis.set_major_formatter(plain)
    bar.outline.set_visible(False)
    bar.set_label(chart.y_title, color=MUTED)


def _draw_cells(axes: Axes, panel: Panel, colours: mpl.cm.ScalarMappable) -> None:
    columns, rows = panel.x_values, panel.y_values
    for cell in panel.cells:
        x, y = columns.index(cell.x), rows.index(cell.y)
        axes.add_patch(_patch(cell, x, y, colours))
        if len(columns) <= MOST_NUMBERS:
            ink = _ink(cell, colours)
            axes.text(x, y, cell.text, ha="center", va="center", fontsize=7, color=ink)
    if panel.chosen:
        x, y = columns.index(panel.chosen.x), rows.index(panel.chosen.y)
        outline = Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=2.2)
        axes.add_patch(outline).set_clip_on(False)
    axes.set_xticks(range(len(columns)), [tick(value) for value in columns])
    axes.set_yticks(range(len(rows)), [tick(value) for value in rows])
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _patch(cell: Cell, x: int, y: int, colours: mpl.cm.ScalarMappable) -> Rectangle:
    corner, size = (x - 0.48, y - 0.48), 0.96
    if cell.value is None:
        return Rectangle(corner, size, size, facecolor="white", edgecolor="#b8bfc6", hatch="////")
    return Rectangle(corner, size, size, facecolor=colours.to_rgba(np.asarray(cell.value)))


def _ink(cell: Cell, colours: mpl.cm.ScalarMappable) -> str:
    """Black or white, whichever is easier to read in the cell."""
    if cell.value is None:
        return INK
    red, green, blue, _ = colours.to_rgba(np.asarray(cell.value))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _draw_dots(axes: Axes, panel: Panel, colours: mpl.cm.ScalarMappable) -> None:
    # Collections: one artist for each dot takes most of a report's time.
    ended = [(cell.x, cell.y, cell.value) for cell in panel.cells if cell.value is not None]
    x, y, height = np.array(ended).reshape(-1, 3).T
    axes.scatter(x, y, s=7**2, c=colours.to_rgba(height), edgecolors=MUTED, linewidths=1)
    lost = [(cell.x, cell.y) for cell in panel.cells if cell.value is None]
    axes.plot(*np.array(lost).reshape(-1, 2).T, "x", color=MUTED, markersize=6)
    if panel.chosen:
        axes.plot(panel.chosen.x, panel.chosen.y, "o", mfc="none", mec=INK, mew=1.6, markersize=12)
    for values, axis, change in (
        (panel.x_values, axes.xaxis, axes.set_xscale),
        (panel.y_values, axes.yaxis, axes.set_yscale),
    ):
        if spans_decades(values):
            change("log")
            axis.set_major_locator(LogLocator(numticks=5))
            axis.set_major_formatter(plain)


def plain(value: float, _position: float) -> str:
    """Tick label without the mathematics that matplotlib's own would need."""
    return tick(value)
