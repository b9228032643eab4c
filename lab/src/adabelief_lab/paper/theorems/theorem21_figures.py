"""Theorem 2.1 drawn: the bound's terms, the regret of all losses, and the dropped assumption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from adabelief_lab.paper.drawing import figure, look, saved
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.theorems.bound import Setting
from adabelief_lab.report.palette import INK, LIGHT, MUTED

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
