"""The baseline against each optimizer on common seeds: differences, exact tests, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adabelief_lab.analysis import sentences
from adabelief_lab.analysis.comparison import OptimizerSummary, PairedTest, Verdict
from adabelief_lab.analysis.statistics import holm, paired_test, t_interval
from adabelief_lab.declare.study import Study

ALPHA = 0.05


def paired_tests(study: Study, summaries: Sequence[OptimizerSummary]) -> tuple[PairedTest, ...]:
    """One pairing for each optimizer but the baseline, with Holm's correction over all of them."""
    baseline = next(summary for summary in summaries if summary.optimizer.name == study.baseline)
    others = [summary for summary in summaries if summary is not baseline]
    raw = [_pairing(study, baseline, other) for other in others]
    adjusted = holm([1.0 if paired.p is None else paired.p for paired, _ in raw])
    return tuple(
        replace(paired, note=sentences.no_pair(baseline, other))
        if paired.p is None
        else _decided(paired, p_holm, ahead, len(others))
        for other, (paired, ahead), p_holm in zip(others, raw, adjusted, strict=True)
    )


def _pairing(
    study: Study, baseline: OptimizerSummary, other: OptimizerSummary
) -> tuple[PairedTest, int]:
    """The pairing before Holm's correction, and +1 if the baseline is ahead, −1 if behind."""
    metric = study.primary_metric
    differences, finite = [], []
    for ours, theirs in zip(baseline.finals, other.finals, strict=False):
        if not {ours.state, theirs.state} <= {"ok", "diverged"}:
            continue
        if ours.value is not None and theirs.value is not None:
            finite.append(ours.value - theirs.value)
            differences.append(finite[-1])
        elif ours.value is None and theirs.value is None:
            differences.append(0.0)  # both diverged: neither is ahead
        else:
            differences.append(metric.worst() if ours.value is None else -metric.worst())
    test = paired_test(differences) if differences else None
    paired = PairedTest(
        optimizer=other.optimizer.name,
        difference=t_interval(finite) if finite else None,
        n=len(differences),
        n_finite=len(finite),
        ranked=test.ranked if test else False,
        p=test.p if test else None,
        p_holm=None,
        verdict="undecided",
        note="",
    )
    direction = 1 if metric.direction == "max" else -1
    return paired, direction * test.sign if test else 0


def _decided(paired: PairedTest, p_holm: float, ahead: int, comparisons: int) -> PairedTest:
    verdict: Verdict = "undecided"
    if p_holm <= ALPHA and ahead != 0:
        verdict = "better" if ahead > 0 else "worse"
    note = ""
    if verdict == "undecided":
        note = sentences.undecided(paired.n, paired.difference, comparisons, ALPHA)
    return replace(paired, p_holm=p_holm, verdict=verdict, note=note)
