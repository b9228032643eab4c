"""Which tuning runs a page shows, where there are more than anyone looks at."""

from __future__ import annotations

import random

from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary, Outcome

SHOWN = 256  # of each optimizer


def excerpt(summary: OptimizerSummary) -> tuple[Outcome, ...]:
    """`SHOWN` trials in the plan's order, and the chosen one.

    Drawn at random, the same ones every time: the first ones, of a ladder or a grid, would be
    those with the smallest learning rates.
    """
    trials = summary.trials
    if len(trials) <= SHOWN:
        return trials
    drawn = set(random.Random(0).sample(range(len(trials)), SHOWN))
    return tuple(run for i, run in enumerate(trials) if i in drawn or run.key == summary.chosen_key)


def hidden(comparison: Comparison) -> frozenset[str]:
    """Keys of the trials that are not shown; final runs always are."""
    every = {run.key for summary in comparison.summaries for run in summary.trials}
    return frozenset(
        every - {run.key for summary in comparison.summaries for run in excerpt(summary)}
    )


def note(comparison: Comparison) -> str:
    """A sentence about what is not shown; "" if all is."""
    most = max((len(summary.trials) for summary in comparison.summaries), default=0)
    if most <= SHOWN:
        return ""
    return (
        f" Of up to {most:,} trials of an optimizer {SHOWN}, drawn at random, and the chosen one "
        "are shown."
    )
