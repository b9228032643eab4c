"""Maps of the trials: the metric over the learning rate and one more knob, for each rival."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from adabelief.lab.analysis.comparison import Comparison, Outcome, Standing
from adabelief.lab.analysis.numerals import number
from adabelief.lab.report.chart import Cell, Chart, Panel, unit
from adabelief.lab.search import Point, tried
from adabelief.lab.workload import Metric

# Colours end at that multiple of the median's distance from the best: the trials that are worth
# comparing lie within it, and one that hardly learnt would leave them a single colour.
REACH = 2.0


def maps(comparison: Comparison) -> Chart | None:
    """One panel for each rival and each knob that was tuned beside its learning rate."""
    panels = tuple(
        panel for one in comparison.standings for panel in _panels(comparison, one) if panel.cells
    )
    if not panels:
        return None
    metric = comparison.study.primary_metric
    values = [cell.value for panel in panels for cell in panel.cells if cell.value is not None]
    y_range = _colours(values, metric)
    name = metric.label or metric.name
    clipped = y_range[0] not in {min(values), max(values)} if values else False
    sign = "≤" if metric.direction == "max" else "≥"
    end = f", the last colour means {sign} {number(y_range[0], 3)}" if clipped else ""
    dots = "" if all(panel.grid for panel in panels) else " or dot"
    return Chart(
        name="maps",
        title="Trials over two hyperparameters",
        x_title="",
        y_title=f"Validation {name}{unit(metric)} at the end",
        caption=f"A cell{dots} is one tuning run, or the best of those with these two values; one "
        f"scale of colours for all, brighter is better{end}. The outlined one was chosen. "
        "Hatched, or ×: it diverged. Empty: not finished, or it failed.",
        panels=panels,
        y_range=y_range,
    )


def _panels(comparison: Comparison, standing: Standing) -> Iterator[Panel]:
    points = comparison.study.points(standing.rival)
    metric, values = comparison.study.primary_metric, tried(points)
    for knob in values:
        if knob == "lr" or "lr" not in values:
            continue
        cells = _cells(points, standing.trials, knob, metric)
        places = {(point["lr"], point[knob]) for point in points}
        yield Panel(
            label=standing.rival.label,
            x_title="lr",
            y_title=knob,
            x_values=tuple(values["lr"]),
            y_values=tuple(values[knob]),
            grid=len(places) == len(values["lr"]) * len(values[knob]),
            cells=tuple(cells),
            chosen=next((cell for cell in cells if cell.key == standing.chosen_key), None),
        )


def _cells(
    points: Sequence[Point], trials: Sequence[Outcome], knob: str, metric: Metric
) -> list[Cell]:
    """The best of the trials at each place, the earlier of equals, as tuning chooses."""
    sign = 1.0 if metric.direction == "max" else -1.0
    best: dict[tuple[float, float], Cell] = {}
    for point, run in zip(points, trials, strict=True):
        if run.state not in {"ok", "diverged"}:
            continue
        x, y = float(point["lr"]), float(point[knob])
        value = None if run.value is None else metric.shown(run.value)
        text = "×" if value is None else number(value, 3)
        before = best.get((x, y))
        if before is None or _better(value, before.value, sign):
            best[x, y] = Cell(x, y, value, text, run.key)
    return list(best.values())


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
