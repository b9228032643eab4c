"""How far a study is: counted from its folder, so that any terminal can ask at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from adabelief.lab.rivals import Rival
from adabelief.lab.search import point_text
from adabelief.lab.study import TOLD, Result, Study, select


@dataclass(frozen=True)
class RivalProgress:
    """Finished runs of one rival. `seeds` is 0 when nothing is left to run: all trials failed."""

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

    rivals: tuple[RivalProgress, ...]
    steps: int
    total_steps: int

    @property
    def runs(self) -> int:
        """Finished runs."""
        return sum(rival.tuned + rival.finished for rival in self.rivals)

    @property
    def total_runs(self) -> int:
        """Runs that there will be."""
        return sum(rival.trials + rival.seeds for rival in self.rivals)


def progress(
    study: Study, results: Mapping[str, Result], partial: Mapping[str, int] | None = None
) -> Progress:
    """Count `results`; `partial` has the steps of unfinished runs by key."""
    rivals = tuple(_rival_progress(study, rival, results) for rival in study.rivals)
    runs = sum(rival.tuned + rival.finished for rival in rivals)
    total = sum(rival.trials + rival.seeds for rival in rivals)
    unfinished = sum(step for key, step in (partial or {}).items() if key not in results)
    return Progress(rivals, runs * study.settings.steps + unfinished, total * study.settings.steps)


def _rival_progress(study: Study, rival: Rival, results: Mapping[str, Result]) -> RivalProgress:
    tune = study.tune_runs(rival)
    ended = [results[run.key] for run in tune if run.key in results]
    tuned, seeds, best = len(ended), study.settings.seeds, ""
    finished = 0
    if tuned == len(tune):
        chosen = select(study, rival, results)
        if chosen is None:
            seeds = 0
        else:
            best = point_text(chosen.point)
            final = study.final_runs(rival, chosen.point)
            ended += [results[run.key] for run in final if run.key in results]
            finished = len(ended) - tuned
    return RivalProgress(
        label=rival.label,
        tuned=tuned,
        trials=len(tune),
        finished=finished,
        seeds=seeds,
        diverged=sum(result.status == "diverged" for result in ended),
        failed=sum(result.status not in TOLD for result in ended),
        best=best,
    )


def table(study: Study, now: Progress, left: str = "") -> Table:
    """The progress as a table of at most 100 columns."""
    title = f"{study.workload}, preset {study.preset}: {now.runs} of {now.total_runs} runs"
    shown = Table(title=f"{title}{left}", title_justify="left")
    shown.add_column("optimizer", no_wrap=True)
    for head in ("tuning", "chosen", "seeds", "diverged", "failed"):
        shown.add_column(head, justify="right", no_wrap=True)
    for rival in now.rivals:
        shown.add_row(
            rival.label,
            f"{rival.tuned}/{rival.trials}",
            rival.best,
            f"{rival.finished}/{rival.seeds}",
            str(rival.diverged),
            str(rival.failed),
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
