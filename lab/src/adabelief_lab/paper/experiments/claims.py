"""Claims that figures of trained networks share."""

from __future__ import annotations

from collections.abc import Sequence

from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.statistics import Interval, t_interval
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict
from adabelief_lab.paper.experiments.experiment import against, full

# Of figures 4 and 5.
NINE = (
    "adabelief", "sgd", "adabound", "yogi", "adam", "msvag", "radam", "adamw", "fromage",
)  # fmt: skip


def belief(comparison: Comparison, source: str) -> Claim:
    """Adam is beaten by the belief, or by the place of ε alone."""
    over_adam, over_eadam = gain(comparison, "adam"), gain(comparison, "eadam")
    verdict: ClaimVerdict = "not tested"
    if full(comparison) and over_adam is not None and over_eadam is not None:
        verdict = belief_verdict(over_adam, over_eadam)
    return Claim(
        source,
        f"{comparison.study.title}: what AdaBelief gains over Adam, it gains by the belief",
        f"{against(comparison, 'adam')}, {against(comparison, 'eadam')}, which has AdaBelief's ε "
        "and no belief",
        verdict,
    )


def belief_verdict(over_adam: float, over_eadam: float) -> ClaimVerdict:
    """Most of what is gained over Adam must be gained over EAdam too."""
    if over_adam <= 0 or over_eadam <= 0:
        return "does not hold"
    return "holds" if over_eadam > 0.5 * over_adam else "holds in part"


def by_more(comparison: Comparison, least: float, specs: Sequence[str]) -> ClaimVerdict:
    """Whether AdaBelief is more than that better than each of them; "in part": than one of them.

    Args:
        comparison: of which.
        least: in the unit that is shown.
        specs: names.
    """
    if not full(comparison):
        return "not tested"
    gains = [gain(comparison, name) for name in specs]
    reached = [each > least for each in gains if each is not None]
    if reached and all(reached):
        return "holds"
    return "holds in part" if any(reached) else "does not hold"


def gain(comparison: Comparison, spec: str) -> float | None:
    """How much better the baseline is in the mean of pairs, in the unit that is shown.

    Negative if it is worse; None without a pair.
    """
    paired = comparison.paired(spec)
    if paired is None or paired.difference is None:
        return None
    metric = comparison.study.primary_metric
    difference = metric.shown(paired.difference.mean)
    return difference if metric.direction == "max" else -difference


def between(comparison: Comparison, one: str, other: str) -> Interval | None:
    """Mean of `one` - `other` over the seeds on which both ended well, neither being the baseline.

    In the metric's unit; None without such a seed.
    """
    ours, theirs = (
        {final.seed: final.value for final in comparison.summary(name).finals}
        for name in (one, other)
    )
    differences = [
        value - against
        for seed, value in ours.items()
        if value is not None and (against := theirs.get(seed)) is not None
    ]
    return t_interval(differences) if differences else None
