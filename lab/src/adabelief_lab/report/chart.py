"""What a chart is: plain data in shown units, without any drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adabelief_lab.analysis.statistics import Interval
from adabelief_lab.declare.workload import Metric

# Each chart is drawn as a file of each of these.
FORMATS = ("png", "pdf", "svg")

# Beyond this ratio a linear axis shows only its largest values.
LOG_RATIO = 30.0


@dataclass(frozen=True)
class Point:
    """One run in a chart; `y` is None for a diverged run, drawn at its line's `edge`."""

    x: float
    y: float | None
    key: str


@dataclass(frozen=True)
class Line:
    """An optimizer's curve, with a band if `low` is not empty.

    `edge` is near the frame's bad side, at a height of its own for each line. Without `joined`
    there are its points only.
    """

    label: str
    style: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    points: tuple[Point, ...] = ()
    ring: Point | None = None
    edge: float = 0.0
    joined: bool = True


@dataclass(frozen=True)
class SeedRow:
    """An optimizer's final values on a line of their own: one point a seed, mean and interval."""

    label: str
    style: int
    points: tuple[Point, ...]
    interval: Interval | None
    lost: tuple[str, ...]
    edge: float


@dataclass(frozen=True)
class Cell:
    """One trial on a map, or the best of those at its place; `value` is None if it diverged."""

    x: float
    y: float
    value: float | None
    text: str
    key: str


@dataclass(frozen=True)
class Panel:
    """An optimizer's trials over two knobs.

    Args:
        x_values: what was tried of the first knob, in order.
        y_values: what was tried of the second.
        grid: every combination was tried: cells side by side, and not dots.
        chosen: the cell with the trial that won.
    """

    label: str
    x_title: str
    y_title: str
    x_values: tuple[float, ...]
    y_values: tuple[float, ...]
    grid: bool
    cells: tuple[Cell, ...]
    chosen: Cell | None


@dataclass(frozen=True)
class Chart:
    """One figure: lines over x, rows of points if there are `rows`, maps if there are `panels`.

    Args:
        name: file name of the figures, and id in the page.
        y_range: ends of the value axis, in plain values also when `y_log`; of maps the values of
            the worst and of the best colour.
        caption: what marks and bands mean.
    """

    name: str
    title: str
    x_title: str
    y_title: str
    caption: str
    lines: tuple[Line, ...] = ()
    rows: tuple[SeedRow, ...] = ()
    panels: tuple[Panel, ...] = ()
    x_log: bool = False
    y_log: bool = False
    y_range: tuple[float, float] = (0.0, 1.0)


def unit(metric: Metric) -> str:
    """Behind a metric's name on an axis."""
    return " (%)" if metric.percent else ""


def tick(value: float) -> str:
    """A value on an axis, short: 150, 0.01, 5.6e-4, 1e-8."""
    size = abs(value)
    if value != 0.0 and not 1e-3 <= size < 1e4:
        text, _, power = f"{value:.1e}".partition("e")
        return f"{text.removesuffix('.0')}e{int(power)}"
    return f"{value:.0f}" if size >= 1e3 else f"{value:.{3 if size >= 0.1 else 2}g}"


def spans_decades(values: Sequence[float]) -> bool:
    """Whether a linear axis would hide most of the values."""
    return bool(values) and min(values) > 0.0 and max(values) > LOG_RATIO * min(values)


def frame(values: Iterable[float], log: bool) -> tuple[float, float]:
    """Both ends of the values with a margin of 6%, and some width if all are equal."""
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    if log:
        margin = 0.06 * (math.log10(high) - math.log10(low))
        return 10 ** (math.log10(low) - margin), 10 ** (math.log10(high) + margin)
    width = high - low if high - low > 1e-9 * abs(high) else abs(high) or 1.0
    margin = 0.06 * width
    return low - margin, high + margin


def edge(metric: Metric, y_range: tuple[float, float], level: int, log: bool) -> float:
    """A place just inside the frame's bad side, one step further in for each level."""
    low, high = y_range
    share = 0.02 + 0.035 * level
    if metric.direction == "min":
        share = 1.0 - share
    if log:
        return float(10 ** ((1 - share) * math.log10(low) + share * math.log10(high)))
    return low + share * (high - low)
