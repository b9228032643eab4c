"""The summary, as CSV and for a terminal."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary
from adabelief_lab.analysis.formatting import NOTHING, mean_text, setting
from adabelief_lab.analysis.sentences import diverged, metric_name
from adabelief_lab.analysis.statistics import Interval
from adabelief_lab.common.plurals import count

VERDICT_STYLE = {"better": "green", "worse": "red", "undecided": "dim"}


def summary_csv(comparison: Comparison) -> str:
    """One line for each optimizer, best first; metrics in their own units, unrounded."""
    lines = [_summary_line(comparison, summary) for summary in comparison.ranking]
    return as_csv(lines, list(lines[0]))


def _summary_line(comparison: Comparison, summary: OptimizerSummary) -> dict[str, object]:
    paired = comparison.paired(summary.optimizer.name)
    settings = comparison.study.settings
    return {
        "rank": summary.rank,
        "optimizer": summary.optimizer.name,
        "label": summary.optimizer.label,
        "metric": comparison.study.primary,
        "lr": summary.chosen["lr"] if summary.chosen else None,
        "chosen": json.dumps(summary.chosen) if summary.chosen else None,
        "edge": summary.edge,
        "trials": len(summary.trials),
        "seeds_planned": settings.seeds,
        **{state: summary.count(state) for state in ("ok", "diverged", "failed")},
        **{
            metric.failure_threshold.name: summary.failures.get(metric.failure_threshold.name, 0)
            for metric in comparison.study.metrics
            if metric.failure_threshold is not None
        },
        **_interval("last", summary.mean),
        **_interval("best", summary.best),
        "train_seconds": summary.seconds,
        "optimizer_percent": summary.optimizer_percent,
        "peak_mib": summary.peak_mib,
        "target": comparison.target,
        "steps_to_target": summary.time_to_target,
        "lr_sensitivity": summary.sensitivity,
        **_interval("baseline_minus_other", paired.difference if paired else None),
        "pairs": paired.n if paired else None,
        "p": paired.p if paired else None,
        "p_holm": paired.p_holm if paired else None,
        "baseline_is": paired.verdict if paired else None,
        "note": paired.note if paired else None,
        "preset": comparison.study.preset,
        "watermark": settings.watermark,
    }


def _interval(name: str, interval: Interval | None) -> dict[str, object]:
    return {
        f"{name}_mean": interval.mean if interval else None,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }


def as_csv(lines: Sequence[Mapping[str, Any]], head: Sequence[str]) -> str:
    """The lines under a head; empty where a line has no such entry."""
    file = StringIO()
    writer = csv.DictWriter(file, head, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def terminal(comparison: Comparison, width: int = 100) -> Table:
    """The summary, `width` columns wide."""
    metric = comparison.study.primary_metric
    unit = " (%)" if metric.percent else ""
    baseline = comparison.baseline.optimizer.label
    table = Table(
        caption=Text(_caption(comparison)),
        caption_justify="left",
        width=width,
        box=SIMPLE_HEAD,
    )
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("optimizer", overflow="fold", ratio=3)
    # Every published point is a learning rate beside the optimizer's own defaults.
    if comparison.study.settings.search in ("lr", "published"):
        table.add_column("lr", justify="right", no_wrap=True)
    else:
        table.add_column("tuned", overflow="fold", ratio=3)
    table.add_column(Text(metric_name(comparison) + unit), justify="right", overflow="fold")
    table.add_column("diverged", justify="right", overflow="fold")
    table.add_column(Text(f"{baseline} is"), ratio=5)
    for summary in comparison.ranking:
        table.add_row(*_terminal_row(comparison, summary))
    return table


def _terminal_row(comparison: Comparison, summary: OptimizerSummary) -> list[Text]:
    paired = comparison.paired(summary.optimizer.name)
    mean = mean_text(summary.mean, comparison.study.primary_metric)
    survivors = "*" if summary.mean and summary.n_diverged else ""
    verdict = Text(NOTHING)
    if paired:
        verdict = Text(paired.verdict, style=VERDICT_STYLE[paired.verdict])
        verdict.append(f": {paired.note}" if paired.note else "", style="dim")
    return [
        Text(str(summary.rank or NOTHING)),
        Text(summary.optimizer.label),
        Text(setting(summary.chosen) + ("!" if summary.edge else "")),
        Text(mean + survivors),
        Text(diverged(summary)),
        verdict,
    ]


def _caption(comparison: Comparison) -> str:
    parts = []
    if any(summary.mean and summary.mean.n > 1 for summary in comparison.summaries):
        parts.append("± half the 95% interval over seeds")
    if any(summary.edge for summary in comparison.summaries):
        parts.append("! at the end of what was tried")
    if any(summary.mean and summary.n_diverged for summary in comparison.summaries):
        parts.append("* mean of the runs that did not diverge")
    if not comparison.complete:
        parts.append(f"{comparison.n_finished} of {count(comparison.n_planned, 'run')}")
    parts.append(comparison.study.settings.watermark)
    return "; ".join(part for part in parts if part)
