"""Theorem 2.1 and corollary 2.1.1: the regret in online convex problems, and every term of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adabelief.reference import Array
from adabelief_lab.analysis.statistics import t_interval
from adabelief_lab.paper.drawing import figure, look, saved
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict, Drawing, Exhibit, Findings, Table
from adabelief_lab.paper.theorems.bound import (
    LAMBDA,
    SCHEDULES,
    Setting,
    corollary_term,
    direct_term,
    first_term,
    second_term,
    third_term,
    trivial_bound,
)
from adabelief_lab.paper.theorems.growth import slopes
from adabelief_lab.paper.theorems.online import (
    DIAMETER,
    DIMENSION,
    FAMILIES,
    Absolute,
    Family,
    Quadratic,
)
from adabelief_lab.paper.theorems.online_optimizer import deviation
from adabelief_lab.paper.theorems.periodic import EXAMPLES, mean_regrets
from adabelief_lab.paper.theorems.regret import Horizon, play
from adabelief_lab.report.palette import INK, LIGHT, MUTED


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


TERMS = ("1st term", "2nd term", "3rd term")
STYLES = ("solid", (0, (6, 2)), (0, (1.5, 1.8)))


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Draw three pictures."""
    yield _bound(data)
    yield _regret(data)
    yield _dropped(data["dropped"])


def _bound(data: Mapping[str, Any]) -> Drawing:
    run, coins = data["runs"]["box"], data["families"].index("absolute")
    times = np.array(run["times"])
    regret, trivial = np.array(run["regret"])[:, coins], np.array(run["trivial"])[:, coins]
    terms = np.array(run["terms"])[:, :, coins]
    with look():
        made = figure(10, 6.2)
        axes = made.subplots(2, 3, sharex=True, sharey=True)
        for k, (ax, setting) in enumerate(zip(axes.flat, data["settings"], strict=True)):
            ax.loglog(times, terms[:, :, k].sum(1), color=INK, lw=2, label="bound")
            for name, color, style, term in zip(TERMS, LIGHT[1:], STYLES, terms[:, :, k].T,
                                                strict=False):  # fmt: skip
                ax.loglog(times, term, color=color, ls=style, label=name)
            ax.loglog(times, trivial[:, k], color=MUTED, ls=":", label="$T d D_∞ G_∞/2$")
            ax.loglog(times, regret[:, k], color=LIGHT[0], lw=2, label="regret")
            ax.set_title(str(Setting(*setting)), fontsize=9.5)
        for ax in axes[-1]:
            ax.set_xlabel("T")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=6)
    return Drawing(
        "theorem2.1-bound",
        "Absolute losses |θ − z| with z = ±1 by coins, on the box: regret, the bound and its three "
        "terms, and what no player can lose. Mean over seeds.",
        saved(made),
    )


def _regret(data: Mapping[str, Any]) -> Drawing:
    run = data["runs"]["box"]
    times, regret = np.array(run["times"]), np.array(run["regret"])
    pairs = list(dict.fromkeys((beta1, eps) for _, beta1, eps in data["settings"]))
    schedules = list(dict.fromkeys(schedule for schedule, _, _ in data["settings"]))
    with look():
        made = figure(10, 3.6)
        axes = made.subplots(1, 3, sharey=True)
        for f, (ax, family) in enumerate(zip(axes, data["families"], strict=True)):
            for k, setting in enumerate(data["settings"]):
                ax.loglog(
                    times, regret[:, f, k], color=LIGHT[schedules.index(setting[0])],
                    ls=STYLES[pairs.index((setting[1], setting[2]))], label=str(Setting(*setting)),
                )  # fmt: skip
            anchor = regret[0, f].max() * 1.5
            ax.loglog(times, anchor * np.sqrt(times / times[0]), color=MUTED, ls=":", label="√T")
            ax.set(title=f"{family} losses", xlabel="T")
        axes[0].set_ylabel("regret")
        handles, labels = axes[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8.5)
    return Drawing("theorem2.1-regret", "Regret on the box, mean over seeds.", saved(made))


def _dropped(dropped: Mapping[str, Any]) -> Drawing:
    times = np.array(dropped["horizons"])
    with look():
        made = figure(10, 4.2)
        axes = made.subplots(1, 2, sharey=True)
        titles = ("periodic linear losses", f"quadratic losses, ε = {dropped['eps']:g}")
        for ax, title, name in zip(axes, titles, ("periodic", "vanishing"), strict=True):
            for color, (label, each) in zip(LIGHT, dropped[name].items(), strict=False):
                late = times[-len(each["with"]) :]
                ax.loglog(late, each["without"], color=color, label=label)
                ax.loglog(late, each["with"], color=color, ls=(0, (1.5, 1.8)))
            ax.set(title=title, xlabel="T")
            ax.legend(fontsize=8.5)
        axes[0].set_ylabel("regret / T")
    return Drawing(
        "theorem2.1-dropped",
        "The condition s_t ≤ s_{t+1}: solid lines are without the maximum of s, dotted ones with "
        "it. Left: f_t(x) = C x once in n steps and −x else. Right: β₁ₜ constant and falling.",
        saved(made),
    )


FROM = 1000  # slopes are fitted to horizons from here on: before, the start is most of the regret


def slope_intervals(numbers: Numbers) -> tuple[Array, Array]:
    """Slope of the regret and half of its 95 % interval over seeds, (family, setting).

    The level is Bonferroni's: all of the intervals hold together.
    """
    late = numbers.times >= FROM
    fitted = slopes(numbers.times[late], numbers.regret[late])
    families, _, settings = fitted.shape
    level = 1 - 0.05 / (families * settings)
    found = [[t_interval(fitted[f, :, k], level) for k in range(settings)] for f in range(families)]
    means = [[each.mean for each in row] for row in found]
    halves = [[each.half_width or 0.0 for each in row] for row in found]
    return np.array(means), np.array(halves)


def bound_claim(runs: Sequence[Numbers]) -> Claim:
    """The bound itself, with its assumptions."""
    worst = max(float((run.regret / run.bound).max()) for run in runs)
    steepest, surprise = max(r.steepest for r in runs), max(r.surprise for r in runs)
    least, monotone = min(r.least for r in runs), all(r.monotone for r in runs)
    kept = steepest <= 1 and surprise <= 1 and least >= 1 and monotone
    cases = sum(run.regret.size for run in runs)
    holds = worst <= 1 and kept
    return Claim(
        "theorem 2.1",
        "with α_t = α/√t, β₁ₜ ≤ β₁, s_t ≤ s_{t+1}, s ≥ c, ‖g‖∞ ≤ G∞/2 and a bounded F, the regret "
        "is at most the sum of three terms",
        f"at {cases:,} horizons of all players the regret is at most {worst:.2g} of the bound; "
        f"max |g| / (G∞/2) is {steepest:.2f}, max |g − m| / G∞ {surprise:.2f}, min s / ε "
        f"{least:.3g}, and s {'never fell' if monotone else 'fell'}",
        "holds" if holds else "does not hold",
    )


def growth_claim(run: Numbers) -> Claim:
    """O(√T), of the regret itself."""
    means, halves = slope_intervals(run)
    above = int((means - halves > 0.5).sum())
    top = np.unravel_index(means.argmax(), means.shape)
    return Claim(
        "section 2.3, below corollary 2.1.1",
        "the regret is O(√T), with β₁ₜ = β₁ λᵗ and with β₁/t",
        f"from T = {FROM:,} to {run.times[-1]:,.0f} the regret grows as T to the power of "
        f"{means.min():.2f} to {means.max():.2f} (± {halves[top]:.2f}), a constant β₁ included; of "
        f"{means.size} intervals {above or 'none'} lies above ½",
        "holds" if above == 0 else "holds in part" if above < means.size else "does not hold",
    )


def bound_growth_claim(run: Numbers) -> Claim:
    """O(√T), of the bound as printed."""
    late = np.flatnonzero(run.times >= FROM)[[0, -1]]
    root = np.sqrt(run.times[late]).reshape(-1, 1, 1, 1)
    rise, direct = (
        float((scaled[1] / scaled[0])[..., run.falling].mean())
        for scaled in (run.terms[late, 1] / root, run.direct[late] / root)
    )
    rises, direct_rises = rise > 1.05, direct > 1.05
    verdict: ClaimVerdict = "holds"
    if rises:
        verdict = "does not hold" if direct_rises else "holds in part"
    return Claim(
        "section 2.3, below corollary 2.1.1",
        "theorem 2.1 implies that the regret is O(√T)",
        f"the second term is O(√(T (1 + log T))): from T = {FROM:,} to {run.times[-1]:,.0f} it "
        f"grows {rise:.2f} times as fast as √T. Without the step by Cauchy and Schwarz it is "
        f"Σ g²/√t, which grows {direct:.2f} times as fast: the logarithm is not needed",
        verdict,
    )


def constant_claim(run: Numbers) -> Claim:
    """A constant β₁, which the theorem allows."""
    late, constant = run.times >= FROM, run.at("constant")
    fitted = float(slopes(run.times[late], run.terms[late, 2][..., constant]).min())
    ratio = float((run.bound / run.trivial)[..., constant].min())
    return Claim(
        "theorem 2.1, 0 ≤ β₁ₜ ≤ β₁ < 1",
        "theorem 2.1 implies that the regret is O(√T), with a constant β₁ too",
        f"with a constant β₁ the third term grows as T to the power of {fitted:.2f} or more, and "
        f"the bound is never below {ratio:.2g} times what no player can lose, T d D∞ G∞/2; the "
        "theorem is true there and says nothing",
        "holds" if fitted <= 0.55 else "does not hold",
    )


def corollary_claim(runs: Sequence[Numbers], ratio: float, dimension: int) -> Claim:
    """Corollary 2.1.1; `ratio` is that of the theorem's third term to the corollary's."""
    worst = 0.0
    for run in runs:
        own = run.at("β₁ λᵗ⁻¹")
        total = run.terms[:, :2].sum(1) + run.corollary
        worst = max(worst, float((run.regret / total)[..., own].max()))
    verdict: ClaimVerdict = "holds" if ratio <= 1 else "holds in part"
    return Claim(
        "corollary 2.1.1",
        "with β₁ₜ = β₁ λᵗ the third term is at most D∞² β₁ G∞ / (2 (1 − β₁)(1 − λ)² α)",
        f"the regret is at most {worst:.2g} of the corollary's bound; but its last term lacks the "
        f"sum over elements: in {dimension:,} dimensions the theorem's third term is {ratio:.2g} "
        "times as large. (β₁ λᵗ is not β₁ at t = 1, as the theorem asks: taken as β₁ λᵗ⁻¹)",
        "does not hold" if worst > 1 else verdict,
    )


def frozen_claim(run: Numbers) -> Claim:
    """Whether s is the variance of the gradient under the theorem's own conditions."""
    coins, falling = run.families.index("absolute"), run.falling
    small = [k for k in falling if run.settings[k].eps < 1e-4]
    share = float(run.final_var[coins, small].max())
    constant = float(run.final_var[coins, run.at("constant")[0]])
    last = float(run.rise[coins][:, small].max())
    return Claim(
        "section 2.3, below corollary 2.1.1",
        "E s_t = Var g_t",
        f"with coins for losses Var g = 1, and s is {constant:.2g} with {run.settings[0]}. "
        f"Where β₁ₜ falls s is at most {share:.2g}: g − m = β₁ₜ (g − m_{{t−1}}) vanishes, and the "
        f"last step of {run.times[-1]:,.0f} at which s rose is {last:,.0f}. From there on it is "
        "gradient descent with a fixed diagonal",
        "holds" if abs(share - 1) < 0.1 else "does not hold",
    )


def loose_claim(run: Numbers) -> Claim:
    """The paper's own remark that the bounds may be loose."""
    last = run.bound[-1] / run.regret[-1]
    least = {setting.eps: (run.bound / run.trivial)[-1][..., [
        k for k in run.falling if run.settings[k].eps == setting.eps]]
        for setting in run.settings}  # fmt: skip
    texts = [f"{ratio.min():.2g} times it with ε = {eps:g}" for eps, ratio in least.items()]
    return Claim(
        "section 2.3, below corollary 2.2.1",
        "it is possible that the bounds are loose",
        f"at T = {run.times[-1]:,.0f} the bound is {last.min():.2g} to {last.max():.2g} times the "
        f"regret. What no player can lose is a better bound there unless ε is large: the bound is "
        f"at best {' and '.join(texts)}, since c = s₁ is little more than ε without bias "
        "corrections",
        "holds" if last.min() > 10 else "does not hold",
    )


def periodic_claim(found: Mapping[str, Mapping[str, Sequence[float]]]) -> Claim:
    """s_t ≤ s_{t+1} in the periodic examples: mean regrets by example, with and without it."""
    ends = [(each["without"][-1] / each["without"][0], each["with"][-1] / each["with"][0])
            for each in found.values()]  # fmt: skip
    needed = all(without > 0.5 and kept < 0.5 for without, kept in ends)
    parts = [
        f"{name}: {each['without'][-1]:.2g} without and {each['with'][-1]:.2g} with the maximum"
        for name, each in found.items()
    ]
    return Claim(
        "theorem 2.1, s_t ≤ s_{t+1}",
        "the condition is needed; in code it is the element-wise maximum",
        "regret / T at the last T of periodic linear losses. " + "; ".join(parts),
        "holds" if needed else "does not hold",
    )


def vanishing_claim(
    times: Sequence[int], found: Mapping[str, Mapping[str, Sequence[float]]], eps: float
) -> Claim:
    """s_t ≤ s_{t+1} where β₁ₜ falls: mean regrets by schedule, with and without it."""
    falling = {name: each for name, each in found.items() if name != "constant"}
    needed = all(e["without"][-1] > e["without"][0] and e["with"][-1] < e["with"][0]
                 for e in falling.values())  # fmt: skip
    parts = [
        f"{name}: {each['without'][0]:.2g} → {each['without'][-1]:.2g} without and "
        f"{each['with'][0]:.2g} → {each['with'][-1]:.2g} with the maximum"
        for name, each in found.items()
    ]
    return Claim(
        "corollary 2.1.1 and below, s_t ≤ s_{t+1}",
        "the condition is needed where β₁ₜ falls",
        f"quadratic losses, ε = {eps:g}, regret / T from T = {times[0]:,} to {times[-1]:,}. "
        + "; ".join(parts)
        + ". Without the maximum s falls to ε/(1 − β₂), and steps go from wall to wall",
        "holds" if needed else "does not hold",
    )


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
