"""A figure or table of trained networks: which studies it takes, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary
from adabelief_lab.analysis.formatting import in_unit, mean_text, shown
from adabelief_lab.analysis.sentences import failure_counts
from adabelief_lab.declare.study import RunRecord, Study
from adabelief_lab.declare.workload import Metric
from adabelief_lab.paper.exhibit import Claim, Drawing, Findings, Table
from adabelief_lab.paper.experiments.drawing import draw
from adabelief_lab.paper.experiments.reported import Reported, compared, read


@dataclass(frozen=True)
class Experiment:
    """An exhibit whose numbers are those of studies.

    Args:
        name: as in `adabelief reproduce NAME`; its reported numbers are in `<name>.json`.
        title: a line.
        source: where in the paper.
        workloads: one study each, in the order of the panels.
        claims: the paper's, about the panels that there are.
        limits: what it can and cannot show where training is reduced.
        contradictions: what, as the paper's text or figure has it, as the authors' code has it.
        beside: metrics whose last values stand beside the primary one's.
        optimizers: of those with published settings, the ones that it shows; all if none is named.
        gather: `(study, records) -> what else its pictures need`, as JSON has it.
        draw: draws from the data of `findings`.
    """

    name: str
    title: str
    source: str
    workloads: tuple[str, ...]
    claims: Callable[[Sequence[Comparison]], Sequence[Claim]]
    limits: str
    contradictions: tuple[tuple[str, str, str], ...] = ()
    beside: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = ()
    gather: Callable[[Study, Sequence[RunRecord]], Mapping[str, Any]] = lambda study, records: {}
    draw: Callable[[Mapping[str, Any]], Iterator[Drawing]] = draw


def full(comparison: Comparison) -> bool:
    """Whether numbers are of the very recipe that others reported numbers of."""
    settings = comparison.study.settings
    return not settings.watermark and settings.search == "published"


def findings(
    experiment: Experiment,
    comparisons: Sequence[Comparison],
    gathered: Sequence[Mapping[str, Any]] = (),
) -> Findings:
    """Tables, claims and the data of the drawings, from studies that are complete.

    `gathered` is what `Experiment.gather` returned for each of them.
    """
    reported = read(experiment.name)
    tables = [_table(experiment, reported, each) for each in comparisons]
    more = gathered or [{}] * len(comparisons)
    panels = [
        {**_panel(reported, each), **own} for each, own in zip(comparisons, more, strict=True)
    ]
    return Findings(
        {"panels": panels, "sources": reported.sources},
        [*tables, *_contradictions(experiment), _runs(comparisons)],
        list(experiment.claims(comparisons)),
    )


def _contradictions(experiment: Experiment) -> list[Table]:
    if not experiment.contradictions:
        return []
    head = ("what", "text and figures", "code and stored runs")
    return [Table("Where text and code differ", head, experiment.contradictions)]


def _table(experiment: Experiment, reported: Reported, comparison: Comparison) -> Table:
    study = comparison.study
    sources = [
        source
        for source in reported.sources
        if any(source in of for of in reported.panels.get(study.workload, {}).values())
    ]
    judged = full(comparison) and reported.tolerance is not None
    beside = [metric for metric in study.metrics if metric.name in experiment.beside]
    rows = tuple(
        _row(comparison, summary, reported, sources, beside, judged=judged)
        for summary in comparison.ranking
    )
    last = ("difference", f"within {reported.tolerance}") if judged else ()
    note = [
        f"{comparison.headline} " + " ".join(comparison.sentences),
        f"Ours: mean ± half the 95 % interval over {study.settings.seeds} paired seeds.",
        *(f"{source}: {reported.sources[source]}." for source in sources),
    ]
    if study.settings.watermark:
        note.append(f"Ours is {study.settings.watermark}. {experiment.limits}")
    elif judged:
        note.append(
            f"Compared with {sources[0]}, best with best; {reported.tolerance}: {reported.reason}."
        )
    heads = ("optimizer", "settings", "ours, last", "ours, best", "diverged")
    heads = (*heads, *(metric.title for metric in beside), *sources, *last)
    title = f"{study.title}, preset {study.preset} ({study.primary_metric.title})"
    return Table(title, heads, rows, " ".join(note))


def _row(
    comparison: Comparison,
    summary: OptimizerSummary,
    reported: Reported,
    sources: Sequence[str],
    beside: Sequence[Metric],
    *,
    judged: bool,
) -> tuple[str, ...]:
    metric = comparison.study.primary_metric
    found = reported.of(comparison.study.workload, summary.optimizer.name)
    others = [_told(found.get(source)) for source in sources]
    row = (
        summary.optimizer.label,
        ", ".join(f"{name} {value:g}" for name, value in (summary.chosen or {}).items()),
        mean_text(summary.mean, metric),
        mean_text(summary.best, metric),
        f"{summary.n_diverged} of {len(summary.finals)}{failure_counts(summary)}",
        *(_mean_of(summary, each) for each in beside),
        *others,
    )
    return row + _difference(comparison, summary, reported) if judged else row


def _mean_of(summary: OptimizerSummary, metric: Metric) -> str:
    """Mean of the last values, of runs that ended well."""
    found = [run.last.get(metric.name) for run in summary.finals if run.state == "ok"]
    finite = [value for value in found if value is not None]
    return in_unit(sum(finite) / len(finite) if finite else None, metric)


def _told(numbers: Mapping[str, float] | None) -> str:
    if numbers is None:
        return "–"
    which, value = compared(numbers)
    return f"{value:g}" if which == "best" else f"{value:g} ({which})"


def _difference(
    comparison: Comparison, summary: OptimizerSummary, reported: Reported
) -> tuple[str, str]:
    """Ours - theirs, by the first source that has the optimizer; whether that means nothing."""
    found = reported.of(comparison.study.workload, summary.optimizer.name)
    first = next((found[source] for source in reported.sources if source in found), None)
    ours = summary.best if first and compared(first)[0] == "best" else summary.mean
    scaled = shown(ours, comparison.study.primary_metric)
    if first is None or scaled is None or reported.tolerance is None:
        return "–", "–"
    difference = scaled.mean - compared(first)[1]
    return f"{difference:+.2f}", "yes" if abs(difference) <= reported.tolerance else "no"


def _panel(reported: Reported, comparison: Comparison) -> dict[str, Any]:
    study = comparison.study
    return {
        "workload": study.workload,
        "title": study.title,
        "preset": study.preset,
        "watermark": study.settings.watermark,
        "metric": study.primary_metric.title,
        "steps": study.settings.steps,
        "optimizers": [
            {
                "name": summary.optimizer.name,
                "label": summary.optimizer.label,
                "values": [_shown(comparison, run.value) for run in summary.finals],
                "best": [_shown(comparison, run.best) for run in summary.finals],
                "states": [run.state for run in summary.finals],
                "failures": [list(run.failures) for run in summary.finals],
                "curve": _curve(comparison, summary),
                "reported": dict(reported.of(study.workload, summary.optimizer.name)),
            }
            for summary in comparison.summaries
        ],
    }


def _shown(comparison: Comparison, value: float | None) -> float | None:
    return None if value is None else comparison.study.primary_metric.shown(value)


def _curve(comparison: Comparison, summary: OptimizerSummary) -> dict[str, Any] | None:
    curve = summary.metric
    if curve is None:
        return None
    convert = comparison.study.primary_metric.shown
    return {
        "steps": list(curve.steps),
        "mean": [convert(value) for value in curve.mean],
        "low": [convert(value) for value in curve.low],
        "high": [convert(value) for value in curve.high],
        "n": curve.n_runs,
    }


def _runs(comparisons: Sequence[Comparison]) -> Table:
    """What the runs were made with: not by whoever draws them."""
    rows = []
    for comparison in comparisons:
        study = comparison.study
        for facts, count in comparison.environments:
            seconds = [one.seconds for one in comparison.summaries if one.seconds is not None]
            rows.append(
                (
                    study.title,
                    count,
                    study.settings.steps,
                    sum(seconds) / len(seconds) if seconds else "–",
                    ", ".join(f"{name} {value}" for name, value in facts.items()),
                )
            )
    head = ("study", "runs", "steps each", "seconds each", "with")
    return Table("The runs", head, tuple(rows), "Seconds of training, without evaluation.")


def highest(comparison: Comparison, source: str, says: str, names: Sequence[str]) -> Claim:
    """The claim that the baseline is the best of these optimizers.

    "holds" if its mean is the highest and no verdict is against it; a reduced study tests nothing.
    """
    metric = comparison.study.primary_metric
    baseline = comparison.baseline
    ranking = [one for one in comparison.ranking if one.optimizer.name in names and one.mean]
    place = next(
        (n for n, one in enumerate(ranking, 1) if one.optimizer.name == baseline.optimizer.name),
        None,
    )
    if place is None:
        told = f"no run of {baseline.optimizer.label} ended well"
    else:
        told = f"place {place} of {len(ranking)}: {mean_text(baseline.mean, metric)}"
        other = next(
            (one for one in ranking if one.optimizer.name != baseline.optimizer.name), None
        )
        if other is not None:
            told += f"; {other.optimizer.label}: {mean_text(other.mean, metric)}"
    if not full(comparison):
        told += f" ({comparison.study.settings.watermark or comparison.study.preset})"
        return Claim(source, says, told, "not tested")
    return Claim(source, says, told, "holds" if place == 1 else "does not hold")


def against(comparison: Comparison, spec: str) -> str:
    """Baseline minus optimizer over the paired seeds, or why there is none."""
    paired = comparison.paired(spec)
    metric = comparison.study.primary_metric
    if paired is None or paired.difference is None:
        return "no pair"
    label = comparison.summary(spec).optimizer.label
    told = mean_text(paired.difference, metric, signed=True)
    return f"{told} against {label}"
