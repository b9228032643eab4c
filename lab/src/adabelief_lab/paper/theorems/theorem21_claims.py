"""What the paper says about theorem 2.1 beside the numbers: verdicts by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adabelief.reference import Array
from adabelief_lab.analysis.statistics import t_interval
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict
from adabelief_lab.paper.theorems.growth import slopes
from adabelief_lab.paper.theorems.theorem21_numbers import Numbers

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
