"""Runs that ended and came to nothing: counted beside those that diverged, wherever these are."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.sentences import diverged
from adabelief_lab.declare.study import Run, RunRecord
from adabelief_lab.declare.workload import FailureThreshold, Metric
from adabelief_lab.report import page
from adabelief_lab.report.charts import charts
from adabelief_lab.report.tables import summary_csv, terminal
from adabelief_lab.report.text_tables import printed
from studies import record, study

VARIETY = Metric(
    name="feature_variance_ratio",
    direction="max",
    failure_threshold=FailureThreshold(name="collapsed", value=0.1),
)
DISTANCE = Metric(
    name="distance",
    direction="min",
    failure_threshold=FailureThreshold(name="no_better_than_mean_image", value=1.0),
)


@pytest.mark.parametrize(
    ("metric", "value", "fails"),
    [
        (VARIETY, 0.11, False), (VARIETY, 0.1, True), (VARIETY, 0.0, True),
        (DISTANCE, 0.99, False), (DISTANCE, 1.0, True), (DISTANCE, 5.0, True),
        (Metric(name="score", direction="max"), -1e9, False),
    ],
)  # fmt: skip
def test_as_bad_as_the_value_is_an_alarm(metric: Metric, value: float, fails: bool) -> None:
    assert metric.fails(value) is fails


def ended(run: Run, variety: float | None, distance: float) -> RunRecord:
    made = record(run, 0.5)
    assert made.result is not None
    last = {**made.result.last, "feature_variance_ratio": variety, "distance": distance}
    return replace(made, result=made.result.model_copy(update={"last": last}))


def compared() -> Comparison:
    """Of three seeds of "ours" one collapsed and one came to nothing in both ways."""
    declared = study(
        seeds=3, metrics=(Metric(name="score", direction="max"), VARIETY, DISTANCE), trials=1
    )
    tuned = [record(run, 0.5) for each in declared.optimizers for run in declared.tune_runs(each)]
    ours, adam = (
        declared.final_runs(each, declared.points(each)[0]) for each in declared.optimizers
    )
    ends = [(0.05, 0.5), (0.0, 2.0), (0.9, 0.5)]
    finals = [ended(run, *end) for run, end in zip(ours, ends, strict=True)]
    finals += [ended(adam[0], 0.9, 0.1), ended(adam[1], None, 0.1), record(adam[2], "diverged")]
    return analyze(declared, [*tuned, *finals])


def test_runs_in_alarm_are_counted_by_its_name() -> None:
    ours, adam = compared().summaries
    assert ours.failures == {"collapsed": 2, "no_better_than_mean_image": 1}
    assert [run.failures for run in ours.finals] == [
        ("collapsed",), ("collapsed", "no_better_than_mean_image"), (),
    ]  # fmt: skip
    assert not adam.failures, (
        "what is no number is no failure threshold, and who diverged has no metrics"
    )
    assert diverged(ours) == "0/3, 2 collapsed, 1 no_better_than_mean_image"
    assert diverged(adam) == "1/3"


def test_they_stand_beside_those_that_diverged_in_every_table() -> None:
    comparison = compared()
    told = "0/3, 2 collapsed, 1 no_better_than_mean_image"
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal(comparison, width=200))
    assert told in console.export_text()
    (results, *_) = printed(comparison)
    assert told in [cell for row in results.rows for cell in row]
    lines = csv.DictReader(io.StringIO(summary_csv(comparison)))
    line = next(line for line in lines if line["optimizer"] == "ours")
    assert (line["collapsed"], line["no_better_than_mean_image"], line["diverged"]) == (
        "2",
        "1",
        "0",
    )
    html = page.html(comparison, [], charts(comparison))
    assert re.search(rf'<td class="n alert">\s*{told}', html)


def test_a_study_without_alarms_says_nothing_of_them() -> None:
    declared = study(seeds=2, trials=1)
    found = analyze(declared, [])
    assert "collapsed" not in summary_csv(found)
    assert diverged(found.summaries[0]) == "–"
