"""What the report's charts show: figures and page draw the same data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adabelief_lab.analysis.comparison import Comparison, Curve, OptimizerSummary, Outcome
from adabelief_lab.analysis.formatting import shown
from adabelief_lab.analysis.sentences import metric_name
from adabelief_lab.declare.search_space import tried
from adabelief_lab.declare.workload import Metric
from adabelief_lab.report.chart import Chart, Line, Point, SeedRow, edge, frame, spans_decades, unit
from adabelief_lab.report.cost_charts import best_of_n, profiles
from adabelief_lab.report.maps import maps
from adabelief_lab.report.palette import styles
from adabelief_lab.report.row_sampling import excerpt, note


def charts(comparison: Comparison) -> list[Chart]:
    """Every chart that has something to show."""
    candidates = (
        _seeds(comparison),
        _curves(comparison, "metric"),
        _curves(comparison, "loss"),
        profiles(comparison),
        _sensitivity(comparison),
        maps(comparison),
        best_of_n(comparison),
    )
    return [chart for chart in candidates if chart is not None]


def _seeds(comparison: Comparison) -> Chart | None:
    metric, style = comparison.study.primary_metric, styles(comparison)
    shown_rows = [
        summary for summary in comparison.ranking if summary.n_finished > summary.count("failed")
    ]
    if not shown_rows:
        return None
    y_range = frame([value for one in shown_rows for value in _extent(one, metric)], log=False)
    rows = tuple(
        SeedRow(
            label=summary.optimizer.label,
            style=style[summary.optimizer.name],
            points=tuple(_point(run, run.seed, metric) for run in summary.finals if _has(run)),
            interval=shown(summary.mean, metric),
            lost=tuple(run.key for run in summary.finals if run.state == "diverged"),
            edge=edge(metric, y_range, 0, log=False),
        )
        for summary in shown_rows
    )
    return Chart(
        name="seeds",
        title="Last evaluation of each seed",
        x_title=_capital(metric_name(comparison)) + unit(metric),
        y_title="",
        caption="A dot is one run; the bar is the mean with its 95% t-interval over seeds. "
        "× at the edge: a run that diverged.",
        rows=rows,
        y_range=y_range,
    )


def _extent(summary: OptimizerSummary, metric: Metric) -> list[float]:
    """Values that the frame must hold: the seeds, and the interval's ends from 3 seeds on.

    The interval of two seeds is 9 times as wide as their distance and would hide the rest.
    """
    values = [metric.shown(run.value) for run in summary.finals if run.value is not None]
    interval = shown(summary.mean, metric)
    if interval is None or interval.n < 3:
        return values
    return values + [end for end in (interval.low, interval.high) if end is not None]


def _curves(comparison: Comparison, which: str) -> Chart | None:
    metric, style = comparison.study.primary_metric, styles(comparison)
    lines = []
    for summary in comparison.summaries:
        curve = summary.loss if which == "loss" else summary.metric
        if curve is not None:
            convert = float if which == "loss" else metric.shown
            lines.append(_line(summary, curve, style[summary.optimizer.name], convert))
    if not lines:
        return None
    values = [value for line in lines for value in _settled(line)]
    y_log = which == "loss" and spans_decades(values)
    name = "Training loss" if which == "loss" else _capital(metric_name(comparison))
    return Chart(
        name="loss" if which == "loss" else "metric",
        title=name if which == "loss" else f"{name} during training",
        x_title="Optimizer step",
        y_title=name if which == "loss" else name + unit(metric),
        caption="Line: mean over seeds. Band: lowest to highest seed. "
        "The frame fits the last 90% of the steps.",
        lines=tuple(lines),
        y_log=y_log,
        y_range=frame(values, y_log),
    )


def _settled(line: Line) -> list[float]:
    """The line's values and band without the first tenth of the steps."""
    start = 0.1 * line.x[-1]
    series = (line.y, line.low, line.high)
    return [
        value for values in series for x, value in zip(line.x, values, strict=False) if x >= start
    ]


def _line(
    summary: OptimizerSummary, curve: Curve, style: int, convert: Callable[[float], float]
) -> Line:
    label = summary.optimizer.label
    if curve.n_runs < curve.n_finished:
        label += f" ({curve.n_runs} of {curve.n_finished} seeds)"
    banded = curve.n_runs > 1
    return Line(
        label=label,
        style=style,
        x=tuple(float(step) for step in curve.steps),
        y=tuple(convert(value) for value in curve.mean),
        low=tuple(convert(value) for value in curve.low) if banded else (),
        high=tuple(convert(value) for value in curve.high) if banded else (),
    )


def _sensitivity(comparison: Comparison) -> Chart | None:
    metric, style = comparison.study.primary_metric, styles(comparison)
    lines = []
    for summary in comparison.summaries:
        ended = [run for run in excerpt(summary) if run.state in {"ok", "diverged"}]
        points = tuple(_point(run, run.lr, metric) for run in ended)
        good = [(point.x, point.y) for point in points if point.y is not None]
        ring = next((p for p in points if p.key == summary.chosen_key), None)
        if points:
            lines.append(
                Line(
                    label=summary.optimizer.label,
                    style=style[summary.optimizer.name],
                    x=tuple(x for x, _ in good),
                    y=tuple(y for _, y in good),
                    points=points,
                    ring=ring,
                    # With other knobs turned as well, neighbours in lr are not alike.
                    joined=set(tried(comparison.study.points(summary.optimizer))) <= {"lr"},
                )
            )
    if not lines or all(len(summary.trials) == 1 for summary in comparison.summaries):
        return None
    values = [value for line in lines for value in line.y]
    y_log = metric.direction == "min" and spans_decades(values)
    y_range = frame(values, y_log)
    lost = [line.style for line in lines if any(point.y is None for point in line.points)]
    levels = {style: level for level, style in enumerate(lost)}
    lines = [
        replace(line, edge=edge(metric, y_range, levels.get(line.style, 0), y_log))
        for line in lines
    ]
    name = metric.label or metric.name
    return Chart(
        name="sensitivity",
        title="Sensitivity to the learning rate",
        x_title="Learning rate",
        y_title=f"Validation {name}{unit(metric)} at the end",
        caption="A point is one tuning run; the ring marks the chosen one; × at the edge: a run "
        "that diverged." + note(comparison),
        lines=tuple(lines),
        x_log=True,
        y_log=y_log,
        y_range=y_range,
    )


def _has(run: Outcome) -> bool:
    return run.value is not None


def _point(run: Outcome, x: float, metric: Metric) -> Point:
    return Point(x, None if run.value is None else metric.shown(run.value), run.key)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
