"""The baseline against each optimizer on common seeds: differences, exact tests, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adabelief_lab.analysis import sentences
from adabelief_lab.analysis.comparison import Pairing, Standing, Verdict
from adabelief_lab.analysis.statistics import holm, paired_test, t_interval
from adabelief_lab.declare.study import Study

ALPHA = 0.05


def pairings(study: Study, standings: Sequence[Standing]) -> tuple[Pairing, ...]:
    """One pairing for each optimizer but the baseline, with Holm's correction over all of them."""
    baseline = next(standing for standing in standings if standing.optimizer.name == study.baseline)
    others = [standing for standing in standings if standing is not baseline]
    raw = [_pairing(study, baseline, other) for other in others]
    adjusted = holm([1.0 if pairing.p is None else pairing.p for pairing, _ in raw])
    return tuple(
        replace(pairing, note=sentences.no_pair(baseline, other))
        if pairing.p is None
        else _decided(pairing, p_holm, ahead, len(others))
        for other, (pairing, ahead), p_holm in zip(others, raw, adjusted, strict=True)
    )


def _pairing(study: Study, baseline: Standing, other: Standing) -> tuple[Pairing, int]:
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
    pairing = Pairing(
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
    return pairing, direction * test.sign if test else 0


def _decided(pairing: Pairing, p_holm: float, ahead: int, comparisons: int) -> Pairing:
    verdict: Verdict = "undecided"
    if p_holm <= ALPHA and ahead != 0:
        verdict = "better" if ahead > 0 else "worse"
    note = ""
    if verdict == "undecided":
        note = sentences.undecided(pairing.n, pairing.difference, comparisons, ALPHA)
    return replace(pairing, p_holm=p_holm, verdict=verdict, note=note)
