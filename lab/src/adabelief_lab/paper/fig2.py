"""Figure 2 and equations 2-4: |x| + |y|, where x has one gradient and y has two in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from adabelief import AdaBelief
from adabelief_lab.paper.closed_form_moments import BETAS, EPS, alternating, constant, moments
from adabelief_lab.paper.drawing import COLORS, LINES, figure, look, saved
from adabelief_lab.paper.exhibit import Claim, Drawing, Exhibit, Findings, Table

STEPS = (1, 2, 3, 4, 5, 10, 100, 1000, 10_000)
START = (-10.0, 1e-4)  # "near the x-axis" (section 2.2); the paper gives no numbers
LR = 1e-3  # section 2.2
RUN = 5000


def measure() -> Findings:
    """The table for prescribed gradients, its closed forms, and an actual run."""
    times = np.array(STEPS)
    grads = np.ones((max(STEPS), 2))
    grads[::2, 1] = -1  # the paper's: −1, 1, −1, ...
    found = moments(grads)
    at = times - 1
    v, s = found.exp_avg_sq[at], found.exp_avg_var[at]
    exact = np.stack([constant(times), alternating(times)], axis=1)
    # Each recursion adds 3 roundings a step, of which the older ones are forgotten as β₂ᵏ is: below
    # 3 / (1 − β₂) units in the last place, and the closed form loses as many as t has digits.
    error = float(np.max(np.abs(s / exact - 1)))
    floor = EPS / (1 - BETAS[1])
    limit_y = (2 * BETAS[0] / (1 + BETAS[0])) ** 2 + floor
    ran = {name: _run(name) for name in ("Adam", "AdaBelief")}
    data = {
        "steps": list(STEPS),
        "v": v.tolist(),
        "s": s.tolist(),
        "exact": exact.tolist(),
        "floor": floor,
        "limit_y": limit_y,
        "paths": {name: run["path"] for name, run in ran.items()},
    }
    return Findings(data, _tables(grads, v, s, exact, ran), _claims(v, s, limit_y, error, ran))


def _run(name: str) -> dict[str, Any]:
    """The optimizer itself from `START`: its path, the signs of its gradients, its mean squares."""
    theta = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    made: torch.optim.Optimizer = (
        AdaBelief([theta], LR, BETAS, EPS)
        if name == "AdaBelief"
        else torch.optim.Adam([theta], LR, BETAS, EPS)
    )
    path, signs = [], []
    for _ in range(RUN):
        path.append(theta.tolist())
        made.zero_grad()
        theta.abs().sum().backward()
        assert theta.grad is not None
        signs.append(theta.grad.tolist())
        made.step()
    key = "exp_avg_var" if name == "AdaBelief" else "exp_avg_sq"
    second = (made.state[theta][key] / (1 - BETAS[1] ** RUN)).tolist()
    y = np.array(signs)[:, 1]
    return {
        "path": path[:: RUN // 500],
        "distance": theta[0].item() - START[0],
        "second": second,
        "flips": float(np.mean(y[1:] != y[:-1])),
        "mean": float(y.mean()),
    }


def _tables(grads: Any, v: Any, s: Any, exact: Any, ran: Mapping[str, Any]) -> list[Table]:
    table = Table(
        "Bias-corrected v and s when g_x = 1 always and g_y = −1, 1, −1, ...",
        ("t", "g_x", "g_y", "v_x", "v_y", "s_x", "s_y", "s_x exact", "s_y exact"),
        tuple(
            (t, *map(int, grads[t - 1]), *map(float, (*v[i], *s[i], *exact[i])))
            for i, t in enumerate(STEPS)
        ),
        f"β₁ = {BETAS[0]}, β₂ = {BETAS[1]}, ε = {EPS:g}. Exact: closed forms of the same sums.",
    )
    runs = Table(
        f"The optimizers themselves, {RUN:,} steps of lr {LR:g} from {START}",
        (
            "optimizer",
            "moved in x",
            "signs of g_y that change",
            "mean g_y",
            "v_x or s_x",
            "v_y or s_y",
        ),
        tuple(
            (name, run["distance"], run["flips"], run["mean"], *run["second"])
            for name, run in ran.items()
        ),
    )
    return [table, runs]


def _claims(v: Any, s: Any, limit_y: float, error: float, ran: Mapping[str, Any]) -> list[Claim]:
    ones = bool(np.all(np.abs(v - 1) < 1e-9))
    last = STEPS[-1]
    ratio = float(np.sqrt(s[-1, 1] / s[-1, 0]))
    farther = ran["AdaBelief"]["distance"] / ran["Adam"]["distance"]
    return [
        Claim(
            "section 2.2, equation 3",
            "v_x and v_y tend to 1, so that Adam's stepsizes are the same in both directions",
            f"v_x = v_y = 1 at every step to {np.max(np.abs(v - 1)):.0e}",
            "holds" if ones else "does not hold",
        ),
        Claim(
            "section 2.2, equation 4",
            "s_x tends to 0",
            f"s_x = {s[-1, 0]:.3g} at t = {last:,}; it ends at the floor ε/(1 − β₂) = "
            f"{EPS / (1 - BETAS[1]):.3g}, and the table's first row has {s[0, 0]:.2f} where the "
            "paper's has 0 (closed form and recursion agree to "
            f"{error:.0e})",
            "holds" if s[-1, 0] < 1e-3 else "does not hold",
        ),
        Claim(
            "section 2.2, equation 4",
            "s_y tends to Var g_y = 1",
            f"s_y = {s[-1, 1]:.4f} at t = {last:,}, its limit is (2β₁/(1 + β₁))² + ε/(1 − β₂) = "
            f"{limit_y:.4f}: m follows the last gradient, so that the residual is smaller than "
            "the deviation from the mean",
            "holds" if abs(limit_y - 1) < 0.01 else "holds in part",
        ),
        Claim(
            "figure 2",
            "√s_x < √s_y: AdaBelief takes a large step in x and a small one in y",
            f"1/√s_x is {ratio:.0f} times 1/√s_y at t = {last:,}; in {RUN:,} steps of its own "
            f"AdaBelief moved {farther:.1f} times as far in x as Adam",
            "holds" if ratio > 1 and farther > 1 else "does not hold",
        ),
    ]


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Draw v and s over t, and both paths."""
    steps = np.array(data["steps"])
    with look():
        made = figure(9, 3.6)
        left, right = made.subplots(1, 2, width_ratios=(1, 1.1))
        v, s = np.array(data["v"]), np.array(data["s"])
        for axis, name, style in ((0, "x", "solid"), (1, "y", (0, (3, 2)))):
            left.loglog(steps, v[:, axis], color=COLORS["Adam"], ls=style, label=f"$v_{name}$")
            left.loglog(steps, s[:, axis], color=COLORS["AdaBelief"], ls=style, label=f"$s_{name}$")
        left.axhline(data["floor"], color="#9a6700", lw=1, ls=":")
        left.annotate("ε/(1 − β₂)", (1, data["floor"]), va="bottom", fontsize=8)
        left.set(xlabel="step", title="v and s, bias-corrected")
        left.legend(ncols=2)
        for name, path in data["paths"].items():
            x, y = np.array(path).T
            right.plot(x, y, color=COLORS[name], ls=LINES[name], label=name, lw=1)
        right.plot(0, 0, "x", color="#d1540a", ms=9, mew=2)
        right.set(xlabel="x", ylabel="y", title=f"{RUN:,} steps from {START}")
        right.legend()
    yield Drawing(
        "fig2",
        "Left: the denominators' squares when the gradient is 1 in x and alternates in y. "
        "Right: the optimizers themselves on |x| + |y|.",
        saved(made),
    )


FIG2 = Exhibit("fig2", "Figure 2: the sign of the gradient", "Section 2.2, equations 2-4",
               measure, draw)  # fmt: skip
