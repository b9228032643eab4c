"""What two lists of final losses, paired by seed, say about each other. Fixed before the runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adabelief_lab.analysis.statistics import Interval, paired_test, t_interval

Verdict = Literal["within seed noise, bounded", "within seed noise", "outside"]


@dataclass(frozen=True)
class Judgement:
    """One format against float32 state.

    Args:
        noise: standard deviation of float32's final losses over seeds.
        difference: format − float32, with its 95 % interval, over the pairs that both ended.
        diverged: runs of the format that did.
        n: pairs.
        p: of the lab's exact paired test, two-sided, not corrected for the number of formats:
            a correction would make it easier to be alike.
        verdict: "within seed noise" if |mean difference| < noise and nothing diverged; "bounded"
            if the whole interval is within ±noise; otherwise "outside".
    """

    noise: float
    difference: Interval | None
    diverged: int
    n: int
    p: float
    verdict: Verdict


def judge(wide: Sequence[float], small: Sequence[float | None]) -> Judgement:
    """Compare losses of the same seeds; None is a run that diverged.

    Raises:
        ValueError: fewer than two pairs, or not as many of one as of the other.
    """
    if len(wide) != len(small) or len(wide) < 2:
        msg = f"as many losses of both are needed, at least 2, got {len(wide)} and {len(small)}"
        raise ValueError(msg)
    finite = [ours - base for base, ours in zip(wide, small, strict=True) if ours is not None]
    diverged = len(small) - len(finite)
    noise = float(np.std(wide, ddof=1))
    difference = t_interval(finite) if finite else None
    return Judgement(
        noise=noise,
        difference=difference,
        diverged=diverged,
        n=len(wide),
        p=paired_test([*finite, *[math.inf] * diverged]).p,
        verdict="outside" if diverged or difference is None else _verdict(difference, noise),
    )


def _verdict(difference: Interval, noise: float) -> Verdict:
    if abs(difference.mean) >= noise:
        return "outside"
    reach = abs(difference.mean) + (difference.half_width or 0.0)
    return "within seed noise, bounded" if reach < noise else "within seed noise"
