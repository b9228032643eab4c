"""What an analysed study consists of: frozen data that tables, figures and the page only show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adabelief_lab.analysis.statistics import Interval
from adabelief_lab.analysis.time_to_target import median_time
from adabelief_lab.declare.search_space import Point
from adabelief_lab.declare.study import Study
from adabelief_lab.optimizers import OptimizerSpec

State = Literal["ok", "diverged", "failed", "pending"]
Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Outcome:
    """One run's end, seen through the primary metric.

    Args:
        key: the run's folder name.
        lr: learning rate of the run.
        seed: position of the seed pair among the final runs; 0 for a tuning run.
        state: "diverged" includes a run that ended with a primary metric that is not finite;
            "pending" a run that is planned and not finished.
        value: primary metric at the last evaluation, in its own unit; None unless ok.
        best: best finite value at any evaluation; None unless ok.
        step: optimizer steps done.
        seconds: training seconds; None while pending.
        optimizer_seconds: part of these in the optimizer.
        peak_bytes: memory at its most; 0 where it is unknown.
        last: all metrics at the last evaluation, where they were finite; empty unless ok.
        failures: names of the failures of metrics that are beyond theirs at the end of a run that
            ended well, as "collapsed".
    """

    key: str
    lr: float
    seed: int
    state: State
    value: float | None
    best: float | None
    step: int
    seconds: float | None
    optimizer_seconds: float = 0.0
    peak_bytes: int = 0
    last: Mapping[str, float | None] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curve:
    """One quantity over the steps of an optimizer's final runs: mean, lowest and highest seed.

    The band is the range over seeds, which is what was seen, and not an interval for the mean:
    the t-interval of two or three seeds at each of many steps hides the curves.
    `n_runs` runs out of `n_finished` are in it: those that ended well, or, if none did, all of
    them as far as they went.
    """

    steps: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n_runs: int
    n_finished: int


@dataclass(frozen=True)
class OptimizerSummary:
    """One optimizer's part of the comparison.

    Args:
        trials: the tuning curve, in the order of the plan.
        chosen: the searched hyperparameters that won on validation data; None before that.
        chosen_key: key of the tuning run that won.
        edge: which of its numbers lie at an end of what was tried, as "lr high"; "" if none
            does or there was one trial only. A winner on the edge is not tuned.
        finals: one outcome for each planned seed; empty while nothing is chosen.
        mean: last value over the runs that ended well; over survivors only if `n_diverged`.
        best: best value over training, of the same runs. Optimistic: never used to rank.
        rank: 1 is best; None without a final result.
        loss: training loss by step.
        metric: primary metric on test data by step.
        expected_best: (n, expected validation value of the best of n trials); empty while a trial
            is pending.
        sensitivity: mean loss in the metric against the best trial over all learning rates, where
            nothing else was searched; None otherwise.
        times: steps until the comparison's target, of each final run that ended well or diverged;
            infinite for one that never got there.
    """

    optimizer: OptimizerSpec
    trials: tuple[Outcome, ...]
    chosen: Point | None
    chosen_key: str
    edge: str
    finals: tuple[Outcome, ...]
    mean: Interval | None
    best: Interval | None
    rank: int | None
    loss: Curve | None
    metric: Curve | None
    expected_best: tuple[tuple[int, float], ...] = ()
    sensitivity: float | None = None
    times: tuple[float, ...] = ()

    @property
    def time_to_target(self) -> float | None:
        """Median of `times`; None without a run."""
        return median_time(self.times)

    def count(self, state: State) -> int:
        """Final runs in that state."""
        return sum(outcome.state == state for outcome in self.finals)

    @property
    def failures(self) -> Mapping[str, int]:
        """Final runs that ended in each failure threshold, of those that any did."""
        return Counter(name for outcome in self.finals for name in outcome.failures)

    @property
    def n_finished(self) -> int:
        """Final runs that ended, well or not."""
        return len(self.finals) - self.count("pending")

    @property
    def n_diverged(self) -> int:
        """Final runs that diverged."""
        return self.count("diverged")

    @property
    def untunable(self) -> bool:
        """Every trial is finished and none ended well."""
        states = {outcome.state for outcome in self.trials}
        return self.chosen is None and "pending" not in states

    @property
    def seconds(self) -> float | None:
        """Mean training seconds of the final runs that ended well."""
        times = [run.seconds for run in self._good if run.seconds is not None]
        return sum(times) / len(times) if times else None

    @property
    def optimizer_percent(self) -> float | None:
        """Share of those seconds that was spent in the optimizer, in percent."""
        total = sum(run.seconds or 0.0 for run in self._good)
        inside = sum(run.optimizer_seconds for run in self._good)
        return 100 * inside / total if total > 0 else None

    @property
    def peak_mib(self) -> float | None:
        """Most memory of any of these runs, in MiB; None where it is unknown."""
        most = max((run.peak_bytes for run in self._good), default=0)
        return most / 2**20 if most else None

    @property
    def _good(self) -> list[Outcome]:
        return [run for run in self.finals if run.state == "ok"]


@dataclass(frozen=True)
class PairedTest:
    """The baseline against one optimizer, seed by seed.

    Args:
        optimizer: the other one's name.
        difference: baseline − optimizer in the metric's unit, over the `n_finite` pairs in which
            both runs ended well.
        n: pairs of the test: common seeds on which both runs ended well or diverged.
        ranked: the test is on signed ranks because a run diverged.
        p: exact two-sided p-value; None without a pair.
        p_holm: adjusted for all comparisons that the study declares; those that have no pair
            yet count as p = 1, so that no p-value falls because others are missing.
        verdict: how the SUBJECT compares with the optimizer.
        note: why it is undecided; "" otherwise.
    """

    optimizer: str
    difference: Interval | None
    n: int
    n_finite: int
    ranked: bool
    p: float | None
    p_holm: float | None
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class Comparison:
    """A study with everything that its records say so far.

    Args:
        summaries: one for each optimizer, in the order of the study.
        pairings: one for each optimizer but the baseline, in the order of the study.
        target: value of the primary metric whose time is taken; None before there is one.
        n_finished: runs of the study that ended, well or not.
        n_planned: runs of the study; optimizers that diverged at every trial have no final runs.
        environments: distinct environments of the results, with the number of runs of each.
        headline: one line in plain words.
        sentences: a few sentences in plain words.
    """

    study: Study
    alpha: float
    summaries: tuple[OptimizerSummary, ...]
    paired_tests: tuple[PairedTest, ...]
    n_finished: int
    n_planned: int
    target: float | None
    environments: tuple[tuple[Mapping[str, Any], int], ...]
    headline: str = ""
    sentences: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Every planned run has ended."""
        return self.n_finished == self.n_planned

    @property
    def baseline(self) -> OptimizerSummary:
        """The baseline's own summary."""
        return self.summary(self.study.baseline)

    def summary(self, name: str) -> OptimizerSummary:
        """The summary of the optimizer of that name."""
        return next(summary for summary in self.summaries if summary.optimizer.name == name)

    def paired(self, name: str) -> PairedTest | None:
        """The pairing with the optimizer of that name; None for the baseline."""
        return next((paired for paired in self.paired_tests if paired.optimizer == name), None)

    @property
    def ranking(self) -> list[OptimizerSummary]:
        """Standings from the best to the worst, those without a rank at the end."""
        unranked = len(self.summaries) + 1
        return sorted(self.summaries, key=lambda summary: summary.rank or unranked)
