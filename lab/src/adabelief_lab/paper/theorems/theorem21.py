"""Theorem 2.1 and corollary 2.1.1: the regret in online convex problems, and every term of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adabelief_lab.paper.exhibit import Exhibit, Findings, Table
from adabelief_lab.paper.theorems.bound import (
    LAMBDA,
    SCHEDULES,
    Setting,
    corollary_term,
    third_term,
)
from adabelief_lab.paper.theorems.online import DIAMETER, DIMENSION, Absolute, Quadratic
from adabelief_lab.paper.theorems.online_optimizer import deviation
from adabelief_lab.paper.theorems.periodic import EXAMPLES, mean_regrets
from adabelief_lab.paper.theorems.regret import play
from adabelief_lab.paper.theorems.theorem21_claims import (
    FROM,
    bound_claim,
    bound_growth_claim,
    constant_claim,
    corollary_claim,
    frozen_claim,
    growth_claim,
    loose_claim,
    periodic_claim,
    slope_intervals,
    vanishing_claim,
)
from adabelief_lab.paper.theorems.theorem21_figures import draw
from adabelief_lab.paper.theorems.theorem21_numbers import Numbers, numbers

SEEDS = 4
# (β₁, ε): the paper's, and one for which the bound says something.
PAIRS = ((0.9, 1e-8), (0.5, 1e-2))
SETTINGS = tuple(Setting(schedule, *pair) for pair in PAIRS for schedule in SCHEDULES)
# What the authors ship: the floor under s is low enough to see what the maximum is for.
SMALL_EPS = 1e-16
HORIZONS = {"box": 10**6, "ball": 3162}  # the ball's projection takes ten times the rest
COMPARED = {"box": 10**4, "ball": 250}  # steps of the optimizer itself
DROPPED = 10**5
WIDE = 200  # players of ten coins that make one of 2,000, as a box is a product


def horizons(last: int) -> list[int]:
    """Four in a decade from 100 to `last`."""
    count = round(4 * np.log10(last / 100)) + 1
    return [round(time) for time in np.geomspace(100, last, count)]


def measure() -> Findings:
    """Play, evaluate the bound, and drop the assumption that s rises."""
    runs = [
        numbers(name, SETTINGS, play(SETTINGS, SEEDS, name, horizons(last)))
        for name, last in HORIZONS.items()
    ]
    compared = {name: deviation(SETTINGS, SEEDS, name, steps) for name, steps in COMPARED.items()}
    box = runs[0]
    periodic = _periodic()
    vanishing = _vanishing()
    claims = [
        bound_claim(runs),
        growth_claim(box),
        bound_growth_claim(box),
        constant_claim(box),
        corollary_claim(runs, _wide_ratio(), WIDE * DIMENSION),
        frozen_claim(box),
        periodic_claim(periodic),
        vanishing_claim(horizons(DROPPED), vanishing, SMALL_EPS),
        loose_claim(box),
    ]
    data = {
        "settings": [[each.schedule, each.beta1, each.eps] for each in SETTINGS],
        "families": box.families,
        "runs": {run.feasible: _as_json(run) for run in runs},
        "dropped": {
            "horizons": horizons(DROPPED), "eps": SMALL_EPS, "periodic": periodic,
            "vanishing": vanishing,
        },
        "compared": compared,
    }  # fmt: skip
    return Findings(data, _tables(runs, compared), claims)


def _periodic() -> dict[str, dict[str, list[float]]]:
    times = horizons(DROPPED)[4:]  # from two periods of the longest on
    return {
        str(example): {
            word: mean_regrets(example, times, amsgrad=word == "with").tolist()
            for word in ("with", "without")
        }
        for example in EXAMPLES
    }


def _vanishing() -> dict[str, dict[str, list[float]]]:
    """Mean over seeds of regret / T, quadratic losses on the box."""
    times = horizons(DROPPED)
    settings = [Setting(schedule, PAIRS[0][0], SMALL_EPS) for schedule in SCHEDULES]
    found: dict[str, dict[str, list[float]]] = {name: {} for name in SCHEDULES}
    for word in ("with", "without"):
        played = play(settings, SEEDS, "box", times, amsgrad=word == "with", families=(Quadratic,))
        regret = np.stack([horizon.regret for horizon in played])[:, 0].mean(1)
        for k, name in enumerate(SCHEDULES):
            found[name][word] = (regret[:, k] / np.array(times)).tolist()
    return found


def _wide_ratio() -> float:
    """Theorem 2.1's third term over the corollary's, in WIDE times as many dimensions.

    The losses, the box and the algorithm are element by element: players side by side are one.
    """
    setting = Setting("β₁ λᵗ⁻¹", *PAIRS[0])
    (played,) = play([setting], WIDE, "box", [1000], families=(Absolute,))
    third = third_term(setting, DIAMETER, played.totals.weighted_roots.sum())
    return float(third / corollary_term(setting, DIAMETER, np.array(2 * Absolute.bound)))


def _as_json(run: Numbers) -> dict[str, Any]:
    """Means over seeds, for the drawings."""
    return {
        "times": run.times.tolist(),
        "regret": run.regret.mean(2).tolist(),
        "terms": run.terms.mean(3).tolist(),
        "trivial": run.trivial.mean(2).tolist(),
    }


def _tables(runs: Sequence[Numbers], compared: dict[str, float]) -> list[Table]:
    means, halves = slope_intervals(runs[0])
    rows = []
    for run in runs:
        for f, family in enumerate(run.families):
            for k, setting in enumerate(run.settings):
                slope = f"{means[f, k]:.3f} ± {halves[f, k]:.3f}" if run is runs[0] else ""
                last = run.terms[-1, :, f, :, k].mean(-1)
                rows.append((
                    run.feasible, family, str(setting), int(run.times[-1]),
                    float(run.regret[-1, f, :, k].mean()), slope, *map(float, last),
                    float(run.trivial[-1, f, 0, k]), int(run.rise[f, :, k].max()),
                    "yes" if run.telescopes[k] else "no",
                ))  # fmt: skip
    notes = [
        f"Means of {SEEDS} seeds, d = {DIMENSION}, D∞ = {DIAMETER:g}, α = {SETTINGS[0].lr:g}, "
        f"β₂ = {SETTINGS[0].beta2:g}, λ = {LAMBDA:g}, s by its maximum, no bias corrections.",
        f"Slope: least squares of log regret on log T over horizons from {FROM:,}, four in a "
        "decade and each of one weight, for every seed; mean ± half of an interval over seeds, "
        "all of which hold together with 95 %.",
        "c is the least s that occurred, which is s₁.",
        "Last rise: the last step at which an element of s grew.",
        "Telescopes: whether √t s_t^{1/2} / (1 − β₁ₜ) never falls. The first term is the end of a "
        "sum of differences with these weights, which needs that; where β₁ₜ falls faster than √t "
        "grows it is not so, and 1/(1 − β₁ₜ) must be bounded by 1/(1 − β₁) with more care.",
        "Algorithm 2 divides by √s + ε and projects in the metric √s; the bound has √s in both.",
    ]
    differences = ", ".join(
        f"{gap:.1e} on the {name} in {COMPARED[name]:,} steps" for name, gap in compared.items()
    )
    notes.append(f"`AdaBelief` itself and the reference that played differ by {differences}.")
    head = (
        "set", "losses", "β₁ₜ, β₁, ε", "T", "regret", "slope", "1st term", "2nd term", "3rd term",
        "T d D∞ G∞/2", "last rise", "telescopes",
    )  # fmt: skip
    return [Table("Regret and bound", head, tuple(rows), " ".join(notes))]


THEOREM21 = Exhibit("theorem2.1", "Theorem 2.1: regret in convex problems",
                    "Section 2.3, theorem 2.1 and corollary 2.1.1", measure, draw)  # fmt: skip
