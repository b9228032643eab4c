"""Numbers as text, with as many digits as their uncertainty supports."""

from __future__ import annotations

import math

from adabelief_lab.analysis.statistics import Interval
from adabelief_lab.declare.search_space import Point, point_text
from adabelief_lab.declare.workload import Metric

NOTHING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """`value` with that many significant digits and a true minus sign."""
    if value is None or not math.isfinite(value):
        return NOTHING
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    if -4 <= magnitude < 6:
        text = f"{value:.{max(0, digits - 1 - magnitude)}f}"
    else:
        text = f"{value:.{digits - 1}e}"
    return text.replace("-", "−")


def learning_rate(value: float) -> str:
    """Shortest form of a learning rate: 0.001, 3.162e-05."""
    return f"{value:.4g}"


def setting(point: Point | None) -> str:
    """What tuning chose: the learning rate, or every knob by name if more were searched."""
    if point is None:
        return NOTHING
    if set(point) == {"lr"}:
        return learning_rate(float(point["lr"]))
    return point_text(point)


def p_value(p: float | None) -> str:
    """Three significant digits; below 0.0001 only that it is below."""
    if p is None:
        return NOTHING
    return "< 0.0001" if p < 1e-4 else f"{p:.3g}"


def steps(value: float | None) -> str:
    """A time in steps: 1,200; "never" where it is infinite."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if math.isfinite(value) else "never"


def in_unit(value: float | None, metric: Metric) -> str:
    """A value of the metric in the unit of its title, four digits."""
    return number(None if value is None else metric.shown(value))


def shown(interval: Interval | None, metric: Metric) -> Interval | None:
    """The interval in the unit of the metric's title."""
    if interval is None:
        return None
    half_width = interval.half_width
    return Interval(
        metric.shown(interval.mean),
        None if half_width is None else metric.shown(half_width),
        interval.n,
    )


def mean_text(interval: Interval | None, metric: Metric, signed: bool = False) -> str:
    """The mean ± half-width; the half-width, and the mean with it, to two significant digits."""
    scaled = shown(interval, metric)
    if scaled is None:
        return NOTHING
    plus = "+" if signed and scaled.mean > 0 else ""
    if not scaled.half_width:  # one seed, or all seeds equal to rounding
        spread = "" if scaled.half_width is None else " ± 0"
        return plus + number(scaled.mean) + spread
    magnitude = math.floor(math.log10(scaled.half_width))
    if not -6 <= magnitude < 6:
        return f"{plus}{number(scaled.mean)} ± {number(scaled.half_width, 2)}"
    decimals = max(0, 1 - magnitude)
    text = f"{scaled.mean:.{decimals}f} ± {scaled.half_width:.{decimals}f}"
    return plus + text.replace("-", "−")


def listing(words: list[str], last: str = "and") -> str:
    """The words as a phrase: "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
