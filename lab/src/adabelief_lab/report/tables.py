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

from adabelief_lab.analysis.comparison import Comparison, Standing
from adabelief_lab.analysis.formatting import NOTHING, mean_text, setting
from adabelief_lab.analysis.sentences import diverged, metric_name
from adabelief_lab.analysis.statistics import Interval

VERDICT_STYLE = {"better": "green", "worse": "red", "undecided": "dim"}


def summary_csv(comparison: Comparison) -> str:
    """One line for each optimizer, best first; metrics in their own units, unrounded."""
    lines = [_summary_line(comparison, standing) for standing in comparison.ranking]
    return as_csv(lines, list(lines[0]))


def _summary_line(comparison: Comparison, standing: Standing) -> dict[str, object]:
    pairing = comparison.pairing(standing.optimizer.name)
    settings = comparison.study.settings
    return {
        "rank": standing.rank,
        "optimizer": standing.optimizer.name,
        "label": standing.optimizer.label,
        "metric": comparison.study.primary,
        "lr": standing.chosen["lr"] if standing.chosen else None,
        "chosen": json.dumps(standing.chosen) if standing.chosen else None,
        "edge": standing.edge,
        "trials": len(standing.trials),
        "seeds_planned": settings.seeds,
        **{state: standing.count(state) for state in ("ok", "diverged", "failed")},
        **{
            metric.alarm.name: standing.alarms.get(metric.alarm.name, 0)
            for metric in comparison.study.metrics
            if metric.alarm is not None
        },
        **_interval("last", standing.mean),
        **_interval("best", standing.best),
        "train_seconds": standing.seconds,
        "optimizer_percent": standing.optimizer_percent,
        "peak_mib": standing.peak_mib,
        "target": comparison.target,
        "steps_to_target": standing.time_to_target,
        "lr_sensitivity": standing.sensitivity,
        **_interval("baseline_minus_other", pairing.difference if pairing else None),
        "pairs": pairing.n if pairing else None,
        "p": pairing.p if pairing else None,
        "p_holm": pairing.p_holm if pairing else None,
        "baseline_is": pairing.verdict if pairing else None,
        "note": pairing.note if pairing else None,
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
    for standing in comparison.ranking:
        table.add_row(*_terminal_row(comparison, standing))
    return table


def _terminal_row(comparison: Comparison, standing: Standing) -> list[Text]:
    pairing = comparison.pairing(standing.optimizer.name)
    mean = mean_text(standing.mean, comparison.study.primary_metric)
    survivors = "*" if standing.mean and standing.n_diverged else ""
    verdict = Text(NOTHING)
    if pairing:
        verdict = Text(pairing.verdict, style=VERDICT_STYLE[pairing.verdict])
        verdict.append(f": {pairing.note}" if pairing.note else "", style="dim")
    return [
        Text(str(standing.rank or NOTHING)),
        Text(standing.optimizer.label),
        Text(setting(standing.chosen) + ("!" if standing.edge else "")),
        Text(mean + survivors),
        Text(diverged(standing)),
        verdict,
    ]


def _caption(comparison: Comparison) -> str:
    parts = []
    if any(standing.mean and standing.mean.n > 1 for standing in comparison.standings):
        parts.append("± half the 95% interval over seeds")
    if any(standing.edge for standing in comparison.standings):
        parts.append("! at the end of what was tried")
    if any(standing.mean and standing.n_diverged for standing in comparison.standings):
        parts.append("* mean of the runs that did not diverge")
    if not comparison.complete:
        parts.append(f"{comparison.n_finished} of {comparison.n_planned} runs")
    parts.append(comparison.study.settings.watermark)
    return "; ".join(part for part in parts if part)
