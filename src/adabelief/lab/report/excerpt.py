"""Which tuning runs a page shows, where there are more than anyone looks at."""

from __future__ import annotations

from adabelief.lab.analysis.comparison import Comparison, Outcome, Standing

# Of each optimizer. Trials are points of a Sobol sequence, so that its first ones, and best the
# first 2ⁿ, are spread over the whole space.
SHOWN = 256


def excerpt(standing: Standing) -> tuple[Outcome, ...]:
    """The first `SHOWN` trials, and the chosen one."""
    first, others = standing.trials[:SHOWN], standing.trials[SHOWN:]
    return (*first, *(run for run in others if run.key == standing.chosen_key))


def hidden(comparison: Comparison) -> frozenset[str]:
    """Keys of the trials that are not shown; final runs always are."""
    return frozenset(
        run.key
        for standing in comparison.standings
        for run in standing.trials[SHOWN:]
        if run.key != standing.chosen_key
    )


def note(comparison: Comparison) -> str:
    """A sentence about what is not shown; "" if all is."""
    most = max((len(standing.trials) for standing in comparison.standings), default=0)
    if most <= SHOWN:
        return ""
    return f" Of {most:,} trials of each optimizer the first {SHOWN} and the chosen one are shown."
