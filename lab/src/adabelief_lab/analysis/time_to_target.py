"""How long until a target is reached, and Dolan-Moré profiles of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from adabelief_lab.declare.workload import Metric

NEVER = math.inf


def time_to_target(
    rows: Sequence[Mapping[str, Any]], split: str, metric: Metric, target: float
) -> float:
    """Steps until the first evaluation that is as good as the target; `NEVER` if there is none.

    Args:
        rows: lines of a run's metrics.jsonl, in order.
        split: which evaluations count.
        metric: which way is better.
        target: value that is good enough.
    """
    for row in rows:
        value = row.get(metric.name)
        if row.get("split") != split or not isinstance(value, int | float):
            continue
        if value >= target if metric.direction == "max" else value <= target:
            return float(row["step"])
    return NEVER


def median_time(times: Sequence[float]) -> float | None:
    """Median over seeds, a run that never gets there being the slowest; None without a run.

    Of an even number the mean of the two in the middle: `NEVER` if one of them is.
    """
    if not times:
        return None
    ordered = sorted(times)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def profile(
    times: Mapping[str, Sequence[float]], ratios: Sequence[float]
) -> dict[str, list[float]]:
    """Share of problems that each solves within each ratio of the fastest (Dolan & Moré 2002).

    Args:
        times: of each optimizer on every problem, in one order; `NEVER` for one it did not solve.
        ratios: τ ≥ 1.

    Returns:
        For each optimizer one share for each ratio. A problem that nobody solved counts as
        unsolved by all.

    Raises:
        ValueError: the optimizers have different numbers of problems, or none.
    """
    lengths = {len(each) for each in times.values()}
    if len(lengths) != 1 or lengths == {0}:
        msg = f"every optimizer needs a time on every problem, got {sorted(lengths)} of them"
        raise ValueError(msg)
    fastest = [min(column) for column in zip(*times.values(), strict=True)]
    return {
        name: [
            sum(t < NEVER and t <= ratio * best for t, best in zip(each, fastest, strict=True))
            / len(fastest)
            for ratio in ratios
        ]
        for name, each in times.items()
    }
