"""Charts of what results cost: trials of tuning, steps until the target."""

from __future__ import annotations

import math

from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.formatting import number
from adabelief_lab.analysis.sentences import metric_name
from adabelief_lab.analysis.time_to_target import NEVER, profile
from adabelief_lab.report.chart import Chart, Line, frame, spans_decades, unit
from adabelief_lab.report.palette import styles

# AlgoPerf's: beyond four times the fastest, how much slower hardly matters (MLCommons 2023).
MOST_RATIO = 4.0


def best_of_n(comparison: Comparison) -> Chart | None:
    """What n trials would have found: how much of a result is tuning."""
    metric, style = comparison.study.primary_metric, styles(comparison)
    lines = tuple(
        Line(
            label=one.optimizer.label,
            style=style[one.optimizer.name],
            x=tuple(float(n) for n, _ in one.expected_best),
            y=tuple(metric.shown(value) for _, value in one.expected_best),
        )
        for one in comparison.summaries
        if len(one.trials) > 1 and one.expected_best
    )
    if not lines:
        return None
    values = [value for line in lines for value in line.y]
    y_log = metric.direction == "min" and spans_decades(values)
    name = metric.label or metric.name
    return Chart(
        name="tuning",
        title="Expected best of n trials",
        x_title="Trials",
        y_title=f"Validation {name}{unit(metric)} of the best",
        caption="What the best of n trials has on average, drawn without replacement from those "
        "that were made. A line begins where n trials cannot all have diverged.",
        lines=lines,
        y_log=y_log,
        y_range=frame(values, y_log),
    )


def profiles(comparison: Comparison) -> Chart | None:
    """Dolan-Moré profiles of the steps until the target, one problem for each seed."""
    # A failed run says nothing about speed, and without it seeds would not be paired.
    counted = [one for one in comparison.summaries if 0 < len(one.finals) == len(one.times)]
    if comparison.target is None or len(counted) < 2:
        return None
    times = {one.optimizer.name: one.times for one in counted}
    if all(time == NEVER for each in times.values() for time in each):
        return None
    fastest = [min(column) for column in zip(*times.values(), strict=True)]
    reached = {
        time / best
        for each in times.values()
        for time, best in zip(each, fastest, strict=True)
        if time < NEVER
    }
    ratios = sorted({1.0, MOST_RATIO, *(ratio for ratio in reached if ratio <= MOST_RATIO)})
    style, shares = styles(comparison), profile(times, ratios)
    lines = tuple(
        Line(
            label=one.optimizer.label,
            style=style[one.optimizer.name],
            x=_stairs(ratios)[1:],
            y=tuple(100 * share for share in _stairs(shares[one.optimizer.name])[:-1]),
        )
        for one in counted
    )
    metric = comparison.study.primary_metric
    shown = number(metric.shown(comparison.target)) + unit(metric).strip(" ()")
    return Chart(
        name="target",
        title=f"Steps until {metric_name(comparison)} {shown}",
        x_title="Steps, as a multiple of the fastest",
        y_title="Seeds (%)",
        caption="Share of seeds on which an optimizer gets there within that many times the steps "
        "of the fastest: at 1, how often it is the fastest. Evaluations are made every "
        f"{comparison.study.settings.eval_every} steps, and times are read at them.",
        lines=lines,
        y_range=(-4.0, 104.0),
    )


def _stairs(values: list[float]) -> tuple[float, ...]:
    """Each value twice: with one end dropped, the corners of a step function."""
    assert all(math.isfinite(value) for value in values)
    return tuple(value for value in values for _ in range(2))
