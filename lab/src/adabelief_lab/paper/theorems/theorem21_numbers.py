"""Numbers of theorem 2.1 from what was played: regret, the bound's terms, the assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adabelief.reference import Array
from adabelief_lab.paper.theorems.bound import (
    Setting,
    corollary_term,
    direct_term,
    first_term,
    second_term,
    third_term,
    trivial_bound,
)
from adabelief_lab.paper.theorems.online import DIAMETER, DIMENSION, FAMILIES, Family
from adabelief_lab.paper.theorems.regret import Horizon


@dataclass(frozen=True)
class Numbers:
    """Of one set; arrays are (horizon, family, seed, setting) where nothing else is said.

    Args:
        feasible: the set.
        families: names.
        settings: of the players.
        times: horizons.
        regret: against the best point of each horizon.
        terms: the bound's, (horizon, 3, family, seed, setting).
        direct: the second term before the logarithm is made.
        corollary: what corollary 2.1.1 has for the third term, for every schedule.
        trivial: what no player can lose more than.
        largest: G∞ of each family, by construction.
        steepest: max |g| / (G∞/2) of all.
        surprise: max |g − m| / G∞ of all.
        least: min s / ε of all.
        monotone: whether s_t ≤ s_{t+1} in all.
        telescopes: of each setting, whether √t s_t^{1/2} / (1 − β₁ₜ) never fell.
        rise: the last step at which s rose, (family, seed, setting).
        final_var: mean of s_T over elements and seeds, (family, setting).
    """

    feasible: str
    families: tuple[str, ...]
    settings: tuple[Setting, ...]
    times: Array
    regret: Array
    terms: Array
    direct: Array
    corollary: Array
    trivial: Array
    largest: Array
    steepest: float
    surprise: float
    least: float
    monotone: bool
    telescopes: tuple[bool, ...]
    rise: Array
    final_var: Array

    @property
    def bound(self) -> Array:
        """Of theorem 2.1."""
        return self.terms.sum(1)

    def at(self, schedule: str) -> list[int]:
        """Positions of the settings with that schedule."""
        return [k for k, each in enumerate(self.settings) if each.schedule == schedule]

    @property
    def falling(self) -> list[int]:
        """Positions of the settings whose β₁ₜ falls."""
        return [k for k, each in enumerate(self.settings) if each.schedule != "constant"]


def numbers(
    feasible: str,
    settings: Sequence[Setting],
    played: Sequence[Horizon],
    families: Sequence[type[Family]] = FAMILIES,
) -> Numbers:
    """Evaluate the bound at every horizon, with c = min s up to it."""
    last = played[-1].totals
    largest = np.array([2 * family.bound for family in families])
    eps = np.array([setting.eps for setting in settings])
    shape = (len(played), *last.losses.shape)
    terms = np.empty((shape[0], 3, *shape[1:]))
    direct, corollary, trivial = (np.empty(shape) for _ in range(3))
    for row, horizon in enumerate(played):
        trivial[row] = trivial_bound(DIAMETER, largest, horizon.time, DIMENSION)[:, None, None]
        for k, setting in enumerate(settings):
            terms[row, ..., k], direct[row, ..., k] = _terms(setting, horizon, k)
            corollary[row, ..., k] = corollary_term(setting, DIAMETER, largest)[:, None]
    return Numbers(
        feasible=feasible,
        families=tuple(family.name for family in families),
        settings=tuple(settings),
        times=np.array([horizon.time for horizon in played]),
        regret=np.stack([horizon.regret for horizon in played]),
        terms=terms,
        direct=direct,
        corollary=corollary,
        trivial=trivial,
        largest=largest,
        steepest=float((2 * last.steepest / largest[:, None, None]).max()),
        surprise=float((last.surprise / largest[:, None, None]).max()),
        least=float((last.least / eps).min()),
        monotone=bool(last.monotone.all()),
        telescopes=tuple(bool(last.telescopes[..., k].all()) for k in range(len(settings))),
        rise=last.rise,
        final_var=last.last_var.mean((1, -1)),
    )


def _terms(setting: Setting, horizon: Horizon, k: int) -> tuple[Array, Array]:
    """Of setting k: the three terms, and the second before the logarithm."""
    totals, time = horizon.totals, horizon.time
    least = totals.least[..., k]
    norms = np.sqrt(totals.fourth_powers[..., k, :]).sum(-1)
    three = np.stack([
        first_term(setting, DIAMETER, time, np.sqrt(totals.last_var[..., k, :]).sum(-1)),
        second_term(setting, least, time, norms),
        third_term(setting, DIAMETER, totals.weighted_roots[..., k]),
    ])  # fmt: skip
    return three, direct_term(setting, least, totals.weighted_squares[..., k])
