"""The tables of the page as text: what Markdown and LaTeX print, with the page's own rounding."""

from __future__ import annotations

from dataclasses import dataclass

from adabelief_lab.analysis import formatting
from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary
from adabelief_lab.analysis.formatting import NOTHING, mean_text
from adabelief_lab.analysis.sentences import diverged, metric_name
from adabelief_lab.common.plurals import count


@dataclass(frozen=True)
class Printed:
    """A table of text.

    Args:
        name: of its files, without a suffix.
        caption: what it shows, with the watermark.
        head: one text a column.
        rows: cells, as many as the head has.
        left: columns that hold words and not numbers.
        best: (row, column) of the values that are marked, those of rank 1.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...]
    best: tuple[tuple[int, int], ...] = ()


def printed(comparison: Comparison) -> list[Printed]:
    """Results, verdicts if there is anything to compare with, and costs."""
    tables = [_results(comparison), _verdicts(comparison), _costs(comparison)]
    return [table for table in tables if table.rows]


def _results(comparison: Comparison) -> Printed:
    metric = comparison.study.primary_metric
    ranking = comparison.ranking
    name = metric_name(comparison) + (" (%)" if metric.percent else "")
    return Printed(
        name="results",
        caption=_caption(
            comparison,
            f"{name}, mean ± half of the 95% t-interval over seeds that ended well; best: over "
            "training, not ranked",
        ),
        head=("Rank", "Optimizer", "Last", "Best", "Diverged", "Runs", "Tuned"),
        rows=tuple(
            (
                str(one.rank or NOTHING),
                one.optimizer.label,
                mean_text(one.mean, metric),
                mean_text(one.best, metric),
                diverged(one),
                f"{one.n_finished} of {comparison.study.settings.seeds}",
                formatting.setting(one.chosen),
            )
            for one in ranking
        ),
        left=(1, 6),
        best=tuple((row, 2) for row, one in enumerate(ranking) if one.rank == 1 and one.mean),
    )


def _verdicts(comparison: Comparison) -> Printed:
    metric, baseline = comparison.study.primary_metric, comparison.baseline.optimizer.label
    unit = " (%)" if metric.percent else ""
    return Printed(
        name="verdicts",
        caption=_caption(
            comparison,
            f"{baseline} against each optimizer on {metric_name(comparison)}, seed by seed: exact "
            f"sign-flip test, Holm's correction, {comparison.alpha:.0%} level",
        ),
        head=("Optimizer", f"{baseline} is", f"Difference{unit}", "Pairs", "p", "p (Holm)"),
        rows=tuple(
            (
                comparison.summary(paired.optimizer).optimizer.label,
                paired.verdict,
                mean_text(paired.difference, metric, signed=True),
                str(paired.n),
                formatting.p_value(paired.p),
                formatting.p_value(paired.p_holm),
            )
            for paired in comparison.paired_tests
        ),
        left=(0, 1),
    )


def _costs(comparison: Comparison) -> Printed:
    metric = comparison.study.primary_metric
    unit = " (%)" if metric.percent else ""
    target = formatting.in_unit(comparison.target, metric)

    def row(one: OptimizerSummary) -> tuple[str, ...]:
        return (
            one.optimizer.label,
            formatting.steps(one.time_to_target),
            formatting.in_unit(one.sensitivity, metric),
            formatting.number(one.seconds, 3),
            formatting.number(one.optimizer_percent, 3),
            formatting.number(one.peak_mib, 4),
        )

    return Printed(
        name="costs",
        caption=_caption(
            comparison,
            f"Median steps to {metric_name(comparison)} {target}{unit}; training seconds without "
            "evaluation, their share in the optimizer; memory at its peak",
        ),
        head=(
            "Optimizer",
            "Steps to target",
            f"lr sensitivity{unit}",
            "Seconds a run",
            "Optimizer (%)",
            "Peak MiB",
        ),
        rows=tuple(row(one) for one in comparison.ranking),
        left=(0,),
    )


def _caption(comparison: Comparison, text: str) -> str:
    study = comparison.study
    unfinished = f"{comparison.n_finished} of {count(comparison.n_planned, 'run')}"
    parts = [
        study.title or study.workload,
        f"{text[:1].upper()}{text[1:]}",
        "" if comparison.complete else unfinished,
        study.settings.watermark,
    ]
    return ". ".join(part.rstrip(".") for part in parts if part) + "."
