"""Maps of the trials: the metric over the learning rate and one more knob, for each optimizer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence, Set

from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary, Outcome
from adabelief_lab.analysis.formatting import number
from adabelief_lab.declare.search_space import Point, tried
from adabelief_lab.declare.workload import Metric
from adabelief_lab.report.chart import Cell, Chart, Panel, spans_decades, tick, unit
from adabelief_lab.report.row_sampling import excerpt, note

# Colours end at that multiple of the median's distance from the best: the trials that are worth
# comparing lie within it, and one that hardly learnt would leave them a single colour.
REACH = 2.0
# A figure of more than that is minutes of layout, and nobody reads it.
PANELS = 24


def maps(comparison: Comparison) -> Chart | None:
    """One panel for each optimizer and each knob that was tuned beside its learning rate."""
    found = [
        panel for one in comparison.ranking for panel in _panels(comparison, one) if panel.cells
    ]
    if not found:
        return None
    panels = tuple(found[:PANELS])
    left_out = f" Of {len(found)} maps those of the best optimizers." if found[PANELS:] else ""
    metric = comparison.study.primary_metric
    values = [cell.value for panel in panels for cell in panel.cells if cell.value is not None]
    y_log = metric.direction == "min" and spans_decades(values)
    y_range = _log_colours(values, metric) if y_log else _colours(values, metric)
    name = metric.label or metric.name
    worst, sign = (min, "≤") if metric.direction == "max" else (max, "≥")
    clipped = bool(values) and not math.isclose(worst(values), worst(y_range))
    end = f", the last colour means {sign} {_short(y_range[0])}" if clipped else ""
    dots = "" if all(panel.grid for panel in panels) else " or dot"
    return Chart(
        name="maps",
        title="Trials over two hyperparameters",
        x_title="",
        y_title=f"Validation {name}{unit(metric)} at the end",
        caption=f"A cell{dots} is one tuning run, or the best of those with these two values; one "
        f"scale of colours for all, brighter is better{end}. The outlined one was chosen. "
        "Hatched, or ×: it diverged. Empty: not finished, or it failed."
        + note(comparison)
        + left_out,
        panels=panels,
        y_log=y_log,
        y_range=y_range,
    )


def _panels(comparison: Comparison, summary: OptimizerSummary) -> Iterator[Panel]:
    points = comparison.study.points(summary.optimizer)
    metric, values = comparison.study.primary_metric, tried(points)
    for knob in values:
        if knob == "lr" or "lr" not in values:
            continue
        places = {(point["lr"], point[knob]) for point in points}
        grid = len(places) == len(values["lr"]) * len(values[knob])
        # A grid has as many cells as values, whatever the trials; dots are one for each.
        shown = {run.key for run in (summary.trials if grid else excerpt(summary))}
        cells = _cells(points, summary.trials, shown, knob, metric)
        yield Panel(
            label=summary.optimizer.label,
            x_title="lr",
            y_title=knob,
            x_values=tuple(values["lr"]),
            y_values=tuple(values[knob]),
            grid=grid,
            cells=tuple(cells),
            chosen=next((cell for cell in cells if cell.key == summary.chosen_key), None),
        )


def _cells(
    points: Sequence[Point],
    trials: Sequence[Outcome],
    shown: Set[str],
    knob: str,
    metric: Metric,
) -> list[Cell]:
    """The best of the trials at each place, the earlier of equals, as tuning chooses."""
    sign = 1.0 if metric.direction == "max" else -1.0
    best: dict[tuple[float, float], Cell] = {}
    for point, run in zip(points, trials, strict=True):
        if run.state not in {"ok", "diverged"} or run.key not in shown:
            continue
        x, y = float(point["lr"]), float(point[knob])
        value = None if run.value is None else metric.shown(run.value)
        text = "×" if value is None else _short(value)
        before = best.get((x, y))
        if before is None or _better(value, before.value, sign):
            best[x, y] = Cell(x, y, value, text, run.key)
    return list(best.values())


def _short(value: float) -> str:
    """Three digits, or fewer where they would not fit into a cell."""
    return number(value, 3) if 1e-3 <= abs(value) < 1e4 else tick(value)


def _better(value: float | None, before: float | None, sign: float) -> bool:
    return value is not None and (before is None or sign * value > sign * before)


def _colours(values: Sequence[float], metric: Metric) -> tuple[float, float]:
    """Values of the worst and of the best colour; different ones."""
    if not values:
        return (0.0, 1.0)
    pick, other = (max, min) if metric.direction == "max" else (min, max)
    best, worst = pick(values), other(values)
    end = best + REACH * (statistics.median(values) - best)
    end = pick(end, worst) if end != best else worst
    if end != best:
        return end, best
    return (best - 1.0, best) if metric.direction == "max" else (best + 1.0, best)


def _log_colours(values: Sequence[float], metric: Metric) -> tuple[float, float]:
    """The same with distances as ratios."""
    worst, best = _colours([math.log10(value) for value in values], metric)
    return 10**worst, 10**best
