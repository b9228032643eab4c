"""How far a study is: counted from its folder, so that any terminal can ask at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from adabelief_lab.common.plurals import count
from adabelief_lab.declare.search_space import point_text
from adabelief_lab.declare.study import CONCLUSIVE, Result, Study, select
from adabelief_lab.optimizers import OptimizerSpec


@dataclass(frozen=True)
class OptimizerProgress:
    """Finished runs of one optimizer. `seeds` is 0 when all trials failed: nothing is left."""

    label: str
    tuned: int
    trials: int
    finished: int
    seeds: int
    diverged: int
    failed: int
    best: str


@dataclass(frozen=True)
class Progress:
    """Finished runs of a study, and its steps, those of unfinished runs included."""

    optimizers: tuple[OptimizerProgress, ...]
    steps: int
    total_steps: int

    @property
    def runs(self) -> int:
        """Finished runs."""
        return sum(spec.tuned + spec.finished for spec in self.optimizers)

    @property
    def total_runs(self) -> int:
        """Runs that there will be."""
        return sum(spec.trials + spec.seeds for spec in self.optimizers)


def progress(
    study: Study, results: Mapping[str, Result], partial: Mapping[str, int] | None = None
) -> Progress:
    """Count `results`; `partial` has the steps of unfinished runs by key."""
    specs = tuple(_optimizer_progress(study, spec, results) for spec in study.optimizers)
    runs = sum(spec.tuned + spec.finished for spec in specs)
    total = sum(spec.trials + spec.seeds for spec in specs)
    unfinished = sum(step for key, step in (partial or {}).items() if key not in results)
    return Progress(specs, runs * study.settings.steps + unfinished, total * study.settings.steps)


def _optimizer_progress(
    study: Study, spec: OptimizerSpec, results: Mapping[str, Result]
) -> OptimizerProgress:
    tune = study.tune_runs(spec)
    ended = [results[run.key] for run in tune if run.key in results]
    tuned, seeds, best = len(ended), study.settings.seeds, ""
    finished = 0
    if tuned == len(tune):
        chosen = select(study, spec, results)
        if chosen is None:
            seeds = 0
        else:
            best = point_text(chosen.point)
            final = study.final_runs(spec, chosen.point)
            ended += [results[run.key] for run in final if run.key in results]
            finished = len(ended) - tuned
    return OptimizerProgress(
        label=spec.label,
        tuned=tuned,
        trials=len(tune),
        finished=finished,
        seeds=seeds,
        diverged=sum(result.status == "diverged" for result in ended),
        failed=sum(result.status not in CONCLUSIVE for result in ended),
        best=best,
    )


def table(study: Study, now: Progress, left: str = "") -> Table:
    """The progress as a table of at most 100 columns."""
    title = f"{study.workload}, preset {study.preset}: {now.runs} of {count(now.total_runs, 'run')}"
    shown = Table(title=f"{title}{left}", title_justify="left")
    shown.add_column("optimizer", no_wrap=True)
    for head in ("tuning", "chosen", "seeds", "diverged", "failed"):
        shown.add_column(head, justify="right", no_wrap=True)
    for spec in now.optimizers:
        shown.add_row(
            spec.label,
            f"{spec.tuned}/{spec.trials}",
            spec.best,
            f"{spec.finished}/{spec.seeds}",
            str(spec.diverged),
            str(spec.failed),
        )
    return shown


class Clock:
    """Estimates the time left from the steps done since it was made."""

    def __init__(self, steps: int) -> None:
        self._start, self._steps = time.monotonic(), steps

    def left(self, now: Progress) -> str:
        """What to add to a headline: `, about 3 min left`; nothing while nothing is measured."""
        done = now.steps - self._steps
        if done <= 0 or now.steps >= now.total_steps:
            return ""
        elapsed = time.monotonic() - self._start
        return f", about {duration(elapsed * (now.total_steps - now.steps) / done)} left"


def duration(seconds: float) -> str:
    """Return `40 s`, `3 min` or `2 h 5 min`: as precise as a person wants to know."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
