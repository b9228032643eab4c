"""What a comparison says, in plain words: headline, summary, and why something is undecided."""

from __future__ import annotations

from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary, Verdict
from adabelief_lab.analysis.formatting import NOTHING, listing, mean_text
from adabelief_lab.analysis.power import seeds_for
from adabelief_lab.analysis.statistics import Interval, seeds_needed
from adabelief_lab.common.plurals import count


def undecided(n: int, difference: Interval | None, comparisons: int, alpha: float) -> str:
    """Why n pairs decided nothing: too few for any verdict, or no clear difference."""
    needed = seeds_needed(comparisons, alpha)
    if n < needed:
        return f"needs at least {needed} seeds, has {n}"
    text = f"{count(n, 'seed')} show no clear difference"
    enough = seeds_for(difference, comparisons, alpha) if difference else None
    # Fewer than there were: the difference is of a size that these seeds find four times in five.
    if enough is None or enough <= n:
        return text
    return f"{text}; one of this size needs about {enough}"


def no_pair(baseline: OptimizerSummary, other: OptimizerSummary) -> str:
    """Why there is no seed on which both ended."""
    for summary in (baseline, other):
        if summary.untunable:
            return f"no trial of {summary.optimizer.label} ended well"
    if baseline.chosen is None or other.chosen is None:
        return "tuning is not finished"
    ended = all(run.state != "pending" for run in (*baseline.finals, *other.finals))
    return "no seed on which both ended" if ended else "no seed on which both have ended yet"


def metric_name(comparison: Comparison) -> str:
    """The primary metric as words, with the split it was measured on."""
    metric = comparison.study.primary_metric
    name = metric.label or metric.name
    return name if name.lower().startswith("test") else f"test {name}"


def diverged(summary: OptimizerSummary) -> str:
    """How many final runs diverged, of how many; and how many came to nothing in other ways."""
    if not summary.n_finished:
        return NOTHING
    return f"{summary.n_diverged}/{summary.n_finished}{failure_counts(summary)}"


def failure_counts(summary: OptimizerSummary) -> str:
    """After what was said: how many final runs ended in each failure threshold."""
    return "".join(f", {number} {name}" for name, number in sorted(summary.failures.items()))


def headline(comparison: Comparison) -> str:
    """The result in one line; never more than what the tests decided."""
    label = comparison.baseline.optimizer.label
    progress = f"{comparison.n_finished} of {count(comparison.n_planned, 'run')}"
    if comparison.n_finished == 0:
        return f"Nothing has finished yet: {progress}."
    if not comparison.paired_tests:
        return f"{label} ran alone: there is nothing to compare it with ({progress})."
    if all(paired.p is None for paired in comparison.paired_tests):
        state = "No comparison was possible" if comparison.complete else "Nothing to compare yet"
        return (
            f"{state}: {progress} finished, and no seed on which {label} and another optimizer "
            "both ended."
        )
    text = f"{_verdicts(comparison)} on {metric_name(comparison)}"
    return f"{text}." if comparison.complete else f"{text}, so far ({progress})."


def _verdicts(comparison: Comparison) -> str:
    label = comparison.baseline.optimizer.label
    by_verdict: dict[Verdict, list[str]] = {"better": [], "worse": [], "undecided": []}
    for paired in comparison.paired_tests:
        by_verdict[paired.verdict].append(comparison.summary(paired.optimizer).optimizer.label)
    if len(by_verdict["undecided"]) == len(comparison.paired_tests):
        others = listing(by_verdict["undecided"], "or")
        return f"Undecided: no difference is established between {label} and {others}"
    phrases = {"better": "better than", "worse": "worse than", "undecided": "undecided against"}
    parts = [
        f"{phrases[verdict]} {listing(labels)}" for verdict, labels in by_verdict.items() if labels
    ]
    return f"{label} is {listing(parts)}"


def explanation(comparison: Comparison) -> tuple[str, ...]:
    """A few sentences: the means, what could be decided, divergences, edges, what is missing."""
    sentences = [
        _means(comparison),
        _power(comparison),
        _divergences(comparison),
        _failures(comparison),
        _untunable(comparison),
        _edges(comparison),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def _means(comparison: Comparison) -> str:
    first = comparison.ranking[0]
    if first.mean is None or len(comparison.summaries) == 1:
        return ""
    metric = comparison.study.primary_metric
    which = "highest" if metric.direction == "max" else "lowest"
    seeds = count(first.mean.n, "seed")
    unit = " %" if metric.percent else ""
    text = (
        f"{first.optimizer.label} has the {which} mean {metric_name(comparison)}, "
        f"{mean_text(first.mean, metric)}{unit} over {seeds}"
    )
    baseline = comparison.baseline
    if baseline is not first and baseline.mean is not None:
        text += f"; {baseline.optimizer.label} has {mean_text(baseline.mean, metric)}{unit}"
    return f"{text}. A rank by means alone is not a verdict."


def _power(comparison: Comparison) -> str:
    tested = [paired.n for paired in comparison.paired_tests if paired.p is not None]
    needed = seeds_needed(len(comparison.paired_tests), comparison.alpha)
    if not tested or max(tested) >= needed:
        return ""
    return (
        f"With {count(max(tested), 'paired seed')} no verdict was reachable, whatever the runs "
        f"had shown: {count(len(comparison.paired_tests), 'comparison')} at the "
        f"{comparison.alpha:.0%} level need at least {needed} seeds."
    )


def _divergences(comparison: Comparison) -> str:
    if not any(summary.n_finished for summary in comparison.summaries):
        return ""
    parts = [
        f"{summary.n_diverged} of {summary.n_finished} with {summary.optimizer.label}"
        for summary in comparison.summaries
        if summary.n_diverged
    ]
    if not parts:
        return "No final run diverged."
    return (
        f"Final runs diverged: {listing(parts)}; ranks and tests count them as worse than any "
        "number, and the means beside them are over the survivors only."
    )


def _failures(comparison: Comparison) -> str:
    parts = [
        f"{summary.count('failed')} of {summary.n_finished} with {summary.optimizer.label}"
        for summary in comparison.summaries
        if summary.count("failed")
    ]
    if not parts:
        return ""
    return f"Final runs failed with an error and are left out everywhere: {listing(parts)}."


def _untunable(comparison: Comparison) -> str:
    labels = [summary.optimizer.label for summary in comparison.summaries if summary.untunable]
    if not labels:
        return ""
    return f"No trial of {listing(labels, 'or')} ended well, so there is no final run of it."


def _edges(comparison: Comparison) -> str:
    found = [summary for summary in comparison.summaries if summary.edge]
    if not found:
        return ""
    labels = [f"{summary.optimizer.label} ({summary.edge})" for summary in found]
    verb = "lies" if len(labels) == 1 else "lie"
    return (
        f"The best setting of {listing(labels)} {verb} at the end of what was tried: a "
        "better one may lie outside."
    )
