"""Colour, dash and marker of each optimizer: equal in all charts, safe for the colour-blind."""

from __future__ import annotations

from adabelief_lab.analysis.comparison import Comparison

# Okabe & Ito 2008 without black and yellow, darkened where white paper needs it, and two more.
# The second list holds the same hues for a dark page.
LIGHT = (
    "#0068a8",
    "#d1540a",
    "#00835f",
    "#b8569a",
    "#a87a00",
    "#4c9cc9",
    "#555b61",
    "#85263f",
)
DARK = (
    "#58acee",
    "#f48a4a",
    "#35c79f",
    "#e594c8",
    "#e3b53c",
    "#a5d8f5",
    "#b4bac0",
    "#d77a94",
)

# Of figures, on white paper.
INK, MUTED, FAINT, ALERT = "#1f2328", "#5c6570", "#e4e7ea", "#9a6700"

# Of maps, from worst to best: made for the colour-blind (Nuñez et al. 2018), and known to
# matplotlib and, with a capital, to plotly.
SCALE = "cividis"

# Each entry: (matplotlib, plotly). No cross: that is the sign of a diverged run.
DASHES = (
    ("solid", "solid"),
    ((0, (6, 2)), "dash"),
    ((0, (6, 2, 1.5, 2)), "dashdot"),
    ((0, (1.5, 1.8)), "dot"),
    ((0, (10, 3)), "longdash"),
)
MARKERS = (
    ("o", "circle"),
    ("s", "square"),
    ("D", "diamond"),
    ("^", "triangle-up"),
    ("v", "triangle-down"),
    ("p", "pentagon"),
    ("h", "hexagon"),
    ("*", "star"),
)


def styles(comparison: Comparison) -> dict[str, int]:
    """Index of each optimizer's colour, dash and marker in every chart: the baseline's is 0."""
    names = [summary.optimizer.name for summary in comparison.summaries]
    names.sort(key=lambda name: name != comparison.study.baseline)
    return {name: index for index, name in enumerate(names)}


def dash_index(style: int) -> int:
    """Which dash goes with that style; shifted at each round of colours, so pairs stay unique."""
    return (style + style // len(LIGHT)) % len(DASHES)


def marker_index(style: int) -> int:
    """Which marker goes with that style, shifted likewise."""
    return (style + style // len(LIGHT)) % len(MARKERS)
