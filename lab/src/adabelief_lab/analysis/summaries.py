"""How each optimizer stands: its tuning curve, its final runs, its learning curves, its rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from adabelief_lab.analysis.comparison import Curve, OptimizerSummary, Outcome, State
from adabelief_lab.analysis.statistics import Interval, t_interval
from adabelief_lab.declare.search_space import edges
from adabelief_lab.declare.study import Run, RunRecord, Study, select
from adabelief_lab.declare.workload import Metric
from adabelief_lab.optimizers import OptimizerSpec

# Squares and sums of larger numbers overflow: a run that gets there has diverged.
OVERFLOWS = 1e150


def finished(record: RunRecord | None) -> bool:
    """Whether the run has ended, well or not."""
    return record is not None and record.result is not None


def summary(
    study: Study, spec: OptimizerSpec, records: Mapping[str, RunRecord]
) -> OptimizerSummary:
    """The optimizer's summary, without its rank; `records` by key."""
    metric = study.primary_metric
    runs = study.tune_runs(spec)
    winner = None
    if all(finished(records.get(run.key)) for run in runs):
        ended_trials = (records[run.key] for run in runs)
        results = {one.run.key: one.result for one in ended_trials if one.result}
        winner = select(study, spec, results)
    planned = study.final_runs(spec, winner.point) if winner else []
    finals = tuple(
        _outcome(run, records.get(run.key), study, seed) for seed, run in enumerate(planned)
    )
    ended = [records[run.key] for run in planned if finished(records.get(run.key))]
    survivors = [run for run in finals if run.state == "ok"]
    return OptimizerSummary(
        optimizer=spec,
        trials=tuple(_outcome(run, records.get(run.key), study, 0) for run in runs),
        chosen=winner.point if winner else None,
        chosen_key=winner.run.key if winner and winner.run else "",
        edge=edges(study.points(spec), winner.point) if winner else "",
        finals=finals,
        mean=_interval([run.value for run in survivors]),
        best=_interval([run.best for run in survivors]),
        rank=None,
        loss=_curve(ended, "train", "loss", metric),
        metric=_curve(ended, "test", metric.name, metric),
    )


def _state(record: RunRecord | None, metric: Metric) -> State:
    """How the run ended. A metric that is not finite after a finite loss is divergence too."""
    if record is None or record.result is None:
        return "pending"
    if record.result.status == "ok" and metric.name in record.result.last:
        return "ok" if _is_finite(record.result.last[metric.name]) else "diverged"
    return "diverged" if record.result.status == "diverged" else "failed"


def _outcome(run: Run, record: RunRecord | None, study: Study, seed: int) -> Outcome:
    metric = study.primary_metric
    state = _state(record, metric)
    result = record.result if record else None
    value = best = None
    failures: tuple[str, ...] = ()
    if record and result and state == "ok":
        value = result.last[metric.name]
        seen = [row.get(metric.name) for row in record.rows if row.get("split") == run.split]
        finite = [float(number) for number in (value, *seen) if _is_finite(number)]
        best = max(finite) if metric.direction == "max" else min(finite)
        failures = tuple(_failures(study.metrics, result.last))
    return Outcome(
        key=run.key,
        lr=float(run.hyperparameters["lr"]),
        seed=seed,
        state=state,
        value=value,
        best=best,
        step=result.step if result else 0,
        seconds=result.seconds if result else None,
        optimizer_seconds=result.optimizer_seconds if result else 0.0,
        peak_bytes=result.peak_bytes if result else 0,
        last=result.last if result and state == "ok" else {},
        failures=failures,
    )


def _failures(metrics: Sequence[Metric], last: Mapping[str, float | None]) -> Iterator[str]:
    for metric in metrics:
        value = last.get(metric.name)
        if metric.failure_threshold is not None and value is not None and metric.fails(value):
            yield metric.failure_threshold.name


def _is_finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and abs(value) < OVERFLOWS


def _interval(values: Sequence[float | None]) -> Interval | None:
    finite = [value for value in values if value is not None]
    return t_interval(finite) if finite else None


def _curve(ended: Sequence[RunRecord], split: str, name: str, metric: Metric) -> Curve | None:
    survivors = [record for record in ended if _state(record, metric) == "ok"]
    included = survivors or ended
    by_step: dict[int, list[float]] = {}
    for record in included:
        for row in record.rows:
            if row.get("split") == split and _is_finite(row.get(name)):
                by_step.setdefault(int(row["step"]), []).append(float(row[name]))
    # A mean over fewer survivors at some step would be a jump that no run made.
    wanted = len(survivors) or 1
    points = {step: by_step[step] for step in sorted(by_step) if len(by_step[step]) >= wanted}
    if not points:
        return None
    return Curve(
        steps=tuple(points),
        mean=tuple(math.fsum(values) / len(values) for values in points.values()),
        low=tuple(min(values) for values in points.values()),
        high=tuple(max(values) for values in points.values()),
        n_runs=len(included),
        n_finished=len(ended),
    )


def ranked(summaries: Sequence[OptimizerSummary], metric: Metric) -> list[OptimizerSummary]:
    """Standings with ranks: by the mean in which a diverged run counts as worst.

    One diverged run makes that mean infinitely bad; among such optimizers the smaller share of
    diverged runs goes first, then the mean of the survivors. Equals share a rank. A failed run
    (an exception: a full disk as well as a bug) says nothing about quality and is left out.
    """

    def badness(one: OptimizerSummary) -> tuple[float, float]:
        counted = one.n_diverged + one.count("ok")
        sign = -1.0 if metric.direction == "max" else 1.0
        return one.n_diverged / counted, sign * one.mean.mean if one.mean else math.inf

    scores = {one.optimizer.name: badness(one) for one in summaries if one.mean or one.n_diverged}
    order = sorted(scores.values())
    ranks = {name: order.index(score) + 1 for name, score in scores.items()}
    return [replace(one, rank=ranks.get(one.optimizer.name)) for one in summaries]
