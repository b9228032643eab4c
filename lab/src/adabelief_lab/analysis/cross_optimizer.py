"""What is said of an optimizer once all are seen: the target, its times, sensitivity."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from adabelief_lab.analysis.comparison import OptimizerSummary
from adabelief_lab.analysis.time_to_target import NEVER, time_to_target
from adabelief_lab.analysis.tuning import expected_best, sensitivity
from adabelief_lab.declare.study import RunRecord, Study


def target_of(study: Study, summaries: Sequence[OptimizerSummary]) -> float | None:
    """The value whose time is taken: the preset's, or what the middle optimizer has at its end.

    Half of the optimizers then get there on average. None while a run is pending: the target must
    not move under times that were read already.
    """
    if study.settings.target is not None:
        return study.settings.target
    if any(not (one.untunable or one.finals) or one.count("pending") for one in summaries):
        return None
    means = [one.mean.mean for one in summaries if one.mean is not None]
    if not means:
        return None
    low, high = statistics.median_low(means), statistics.median_high(means)
    # Of two in the middle the one that is easier to reach.
    return low if study.primary_metric.direction == "max" else high


def completed(
    study: Study,
    summaries: Sequence[OptimizerSummary],
    records: Mapping[str, RunRecord],
    target: float | None,
) -> list[OptimizerSummary]:
    """The summaries with `expected_best`, `sensitivity` and `times`; `records` by key."""
    worst = _worst(study, summaries)
    return [
        replace(
            one,
            **_tuning(study, one, worst),  # type: ignore[arg-type]
            times=() if target is None else _times(study, one, records, target),
        )
        for one in summaries
    ]


def _worst(study: Study, summaries: Sequence[OptimizerSummary]) -> float | None:
    """The worst value of any trial of any optimizer that ended well."""
    values = [run.value for one in summaries for run in one.trials if run.value is not None]
    if not values:
        return None
    return min(values) if study.primary_metric.direction == "max" else max(values)


def _tuning(study: Study, one: OptimizerSummary, worst: float | None) -> dict[str, object]:
    ended = [run for run in one.trials if run.state in {"ok", "diverged"}]
    if len(ended) < len(one.trials) or worst is None:
        return {}
    values = [run.value for run in ended]
    metric = study.primary_metric
    found: dict[str, object] = {"expected_best": tuple(expected_best(values, metric))}
    if study.settings.search == "lr" and len(values) > 1:
        found["sensitivity"] = sensitivity(values, worst, metric)
    return found


def _times(
    study: Study, one: OptimizerSummary, records: Mapping[str, RunRecord], target: float
) -> tuple[float, ...]:
    return tuple(
        time_to_target(records[run.key].rows, "test", study.primary_metric, target)
        if run.state == "ok"
        else NEVER
        for run in one.finals
        if run.state in {"ok", "diverged"}
    )
