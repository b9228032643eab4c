"""Theorem 2.2: how fast gradients vanish in non-convex problems with bounded noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adabelief.reference import Array
from adabelief_lab.analysis.statistics import Interval, t_interval
from adabelief_lab.paper.drawing import figure, look, saved
from adabelief_lab.paper.exhibit import Claim, Drawing, Exhibit, Findings, Table
from adabelief_lab.paper.theorems.growth import slopes
from adabelief_lab.paper.theorems.nonconvex import PROBLEMS, RareNoise, descend
from adabelief_lab.report.palette import LIGHT, MUTED

SEEDS, BATCHES = 64, 8  # slopes are fitted to means of 8 seeds, for their spread
LAST, FROM = 10**5, 1000
LR, EPS = 0.1, 1e-8


@dataclass(frozen=True)
class Descent:
    """One problem, with the maximum of s or without.

    Args:
        problem: its name.
        amsgrad: s_t ≤ s_{t+1}.
        times: T.
        least: min over t ≤ T, among `times`, of the mean ‖∇f(θ_t)‖² of each batch of seeds,
            (times, batches): at least that over all t.
        last: the mean ‖∇f(θ_T)‖² at the last T.
        steepest: the largest ‖g_t‖.
        bound: H, by construction.
        c: min s₁.
    """

    problem: str
    amsgrad: bool
    times: Sequence[int]
    least: Array
    last: float
    steepest: float
    bound: float
    c: float

    def slope(self) -> Interval:
        """Exponent of T from `FROM` on, with its 95 % interval over batches."""
        late = np.asarray(self.times) >= FROM
        return t_interval(slopes(np.asarray(self.times)[late], self.least[late]))

    def first_term(self) -> float:
        """The bound's first term at the last T over what ‖∇f‖² cannot exceed, H², if C₁ = 1.

        H / (√T α) · α² (H² + σ²) (1 + log T) / c, without σ².
        """
        last = self.times[-1]
        return float(self.bound * LR * (1 + np.log(last)) / (np.sqrt(last) * self.c))


def measure() -> Findings:
    """Descend in every problem, with the maximum of s and without."""
    count = round(8 * np.log10(LAST)) + 1
    times = list(dict.fromkeys(round(time) for time in np.geomspace(1, LAST, count)))
    found = []
    for make in PROBLEMS:
        for amsgrad in (True, False):
            problem = make(SEEDS)
            path = descend(problem, times, amsgrad=amsgrad, lr=LR, eps=EPS)
            batches = path.squares.reshape(len(times), BATCHES, -1).mean(-1)
            found.append(
                Descent(
                    problem=make.name, amsgrad=amsgrad, times=times, bound=problem.bound(),
                    least=np.minimum.accumulate(batches), last=float(path.squares[-1].mean()),
                    steepest=path.steepest, c=path.least,
                )
            )  # fmt: skip
    data = {
        "times": times,
        "least": [[each.problem, each.amsgrad, each.least.mean(1).tolist()] for each in found],
    }
    claims = [rate_claim(found), monotone_claim(found)]
    return Findings(data, [_table(found)], claims)


def rate_slope(times: Sequence[int]) -> float:
    """Slope of log T / √T over the horizons that are fitted."""
    late = np.asarray([time for time in times if time >= FROM], dtype=np.float64)
    return float(slopes(late, np.log(late) / np.sqrt(late)))


def rate_claim(found: Sequence[Descent]) -> Claim:
    """O(log T / √T) with the maximum."""
    kept = [each for each in found if each.amsgrad]
    rate = rate_slope(kept[0].times)
    fits = [each.slope() for each in kept]
    slow = [fit.mean - (fit.half_width or 0) > rate for fit in fits]
    inside = all(each.steepest <= each.bound for each in kept)
    parts = [f"{each.problem}: {fit.mean:.2f} ± {fit.half_width or 0:.2f}"
             for each, fit in zip(kept, fits, strict=True)]  # fmt: skip
    last = kept[0].times[-1]
    return Claim(
        "theorem 2.2",
        "with s_t ≤ s_{t+1}, min E‖∇f‖² over t ≤ T is O(log T / √T)",
        f"from T = {FROM:,} to {last:,} it falls as T to the power of {'; '.join(parts)}. "
        f"log T / √T falls there as T to the power of {rate:.2f}. The four constants of the bound "
        "are not named, so that only the rate can be checked",
        "does not hold" if all(slow) or not inside else "holds in part" if any(slow) else "holds",
    )


def monotone_claim(found: Sequence[Descent]) -> Claim:
    """Whether the condition on s matters."""
    rate = rate_slope(found[0].times)
    rare = {each.amsgrad: each for each in found if each.problem == RareNoise.name}
    with_, without = rare[True].slope(), rare[False].slope()
    needed = without.mean - (without.half_width or 0) > rate >= with_.mean
    return Claim(
        "theorem 2.2, s_t ≤ s_{t+1}",
        "the condition is needed; in code it is the element-wise maximum",
        f"{RareNoise.name}, β₁ = {RareNoise.betas[0]:g}, β₂ = {RareNoise.betas[1]:g}: at T = "
        f"{found[0].times[-1]:,} E‖∇f‖² is {rare[False].last:.2g} without the maximum, from "
        f"{rare[False].least[0].mean():.2g} at the start, and {rare[True].last:.2g} with it. The "
        f"least so far falls as T to the power of {round(without.mean, 2) + 0.0:.2f} and of "
        f"{with_.mean:.2f}",
        "holds" if needed else "does not hold",
    )


def _table(found: Sequence[Descent]) -> Table:
    rows = []
    for each in found:
        fit = each.slope()
        rows.append((
            each.problem, "yes" if each.amsgrad else "no", float(each.least[-1].mean()),
            f"{fit.mean:.3f} ± {fit.half_width or 0:.3f}", each.steepest, each.bound, each.c,
            each.first_term(),
        ))  # fmt: skip
    return Table(
        f"Gradients at T = {found[0].times[-1]:,}",
        (
            "problem",
            "s_t ≤ s_{t+1}",
            "min E‖∇f‖²",
            "slope",
            "max ‖g‖",
            "H",
            "c = min s₁",
            "first term / H²",
        ),
        tuple(rows),
        f"Means of {SEEDS} seeds; the minimum is over eight times in a decade. α = {LR:g}, "
        f"ε = {EPS:g}, no bias corrections. Slope: least squares of logarithms from T = {FROM:,} "
        f"on, of {BATCHES} means over {SEEDS // BATCHES} seeds each; 95 % interval. First term: "
        "the bound's, with C₁ = 1 and without σ², over what ‖∇f‖² cannot exceed; above 1 the bound "
        "says nothing.",
    )


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Draw min E‖∇f‖² over T."""
    times = np.array(data["times"], dtype=np.float64)
    with look():
        made = figure(10, 3.6)
        names = list(dict.fromkeys(name for name, _, _ in data["least"]))
        axes = made.subplots(1, len(names))
        for ax, name in zip(axes, names, strict=True):
            for problem, amsgrad, least in data["least"]:
                if problem == name:
                    ax.loglog(
                        times, least, color=LIGHT[not amsgrad],
                        ls="solid" if amsgrad else (0, (6, 2)),
                        label=f"{'with' if amsgrad else 'without'} the maximum of s",
                    )  # fmt: skip
            late = times >= FROM
            rate = np.log(times[late]) / np.sqrt(times[late])
            first = next(
                least[int(np.argmax(late))]
                for problem, amsgrad, least in data["least"]
                if problem == name and amsgrad
            )
            ax.loglog(times[late], rate / rate[0] * first * 1.6, color=MUTED, ls=":",
                      label="log T / √T")  # fmt: skip
            ax.set_title(name, fontsize=10)
            ax.set_xlabel("T")
        axes[0].set_ylabel("min E‖∇f‖²")
        handles, labels = axes[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=3)
    yield Drawing(
        "theorem2.2",
        f"The least mean of ‖∇f(θ_t)‖² up to T, over {SEEDS} seeds.",
        saved(made),
    )


THEOREM22 = Exhibit("theorem2.2", "Theorem 2.2: gradients in non-convex problems",
                    "Section 2.3, theorem 2.2", measure, draw)  # fmt: skip
