"""Figure 3 on paper: paths over contours, and over surfaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adabelief.reference import Array
from adabelief_lab.paper.drawing import COLORS, LINES, figure, look, saved
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.figure3.landscapes import LANDSCAPES, Landscape, Start
from adabelief_lab.report.palette import ALERT, INK, MUTED

OPTIMUM = "#e36209"  # "marked as orange cross in 2D plots" (figure 3)
BANDS = 16
# Paths lie upon each other: the baseline comes last, on top, and has the smallest disc.
DISCS = {"EAdam": 12.0, "SGD (EMA)": 10.5, "SGD": 9.0, "Adam": 7.5, "AdaBelief": 6.0}  # in points
ORDER = tuple(DISCS)


def shown() -> Iterator[tuple[Landscape, int, Start]]:
    """Every landscape with each of its starts and that start's number."""
    for landscape in LANDSCAPES:
        for i, start in enumerate(landscape.starts):
            yield landscape, i, start


def positions(path: Any) -> Array:
    """A path of the record, of shape (times, 2); NaN where it was not finite."""
    return np.array([(np.nan, np.nan) if at is None else at for at in path])


def heights(landscape: Landscape, x: Any, y: Any) -> Any:
    """log₁₀ of the loss and a tenth: what is 0 at the optimum is drawn at −1."""
    return np.log10(landscape.loss(x, y) + 0.1)


def contours(axes: Axes, landscape: Landscape, start: tuple[float, float]) -> None:
    """Bands of equal ratios of the loss, the start and the optimum."""
    view = landscape.around(start)
    x, y = np.meshgrid(np.linspace(*view[:2], 241), np.linspace(*view[2:], 241))
    z = heights(landscape, x, y)
    axes.contourf(x, y, z, BANDS, cmap="Blues_r", alpha=0.5)
    axes.contour(x, y, z, BANDS, colors="white", linewidths=0.5, linestyles="solid")
    axes.plot(*landscape.optimum, "x", color=OPTIMUM, ms=9, mew=2.5)
    axes.plot(*start, "s", color=INK, ms=5)
    axes.set(xlim=view[:2], ylim=view[2:], aspect="equal")
    axes.grid(visible=False)
    axes.tick_params(labelsize=8)
    axes.set_title(landscape.title, fontsize=10)


def legend(made: Figure, columns: int) -> None:
    """Optimizers above all panels."""
    lines = [
        made.axes[0].plot([], [], color=COLORS[name], ls=LINES[name], lw=2, label=name)[0]
        for name in COLORS
    ]
    made.legend(handles=lines, loc="outside upper center", ncols=columns, handlelength=3.2)


def panels(data: Mapping[str, Any]) -> Drawing:
    """All starts over contours, at the moment when AdaBelief arrives."""
    times = np.array(data["times"])
    with look():
        made = figure(9.6, 10.6)
        grid = made.subplots(3, 3).ravel()
        for axes, (landscape, i, start) in zip(grid, shown(), strict=True):
            contours(axes, landscape, start.point)
            arrived = data["arrived"][landscape.name][i]
            seen = int(np.searchsorted(times, arrived)) + 1
            lost = []
            for name in ORDER:
                path = positions(data["paths"][landscape.name][i][name])
                color = COLORS[name]
                axes.plot(*path[seen - 1 :].T, color=color, ls=LINES[name], lw=0.8, alpha=0.6)
                axes.plot(*path[:seen].T, color=color, ls=LINES[name], lw=1.7)
                axes.plot(*path[seen - 1], "o", color=color, ms=DISCS[name], mec="white",
                          mew=0.6)  # fmt: skip
                if np.isnan(path).any():
                    lost.append(name)
            axes.set_xlabel(f"step {times[seen - 1]:,}", fontsize=9)
            if lost:
                axes.annotate(
                    f"{', '.join(lost)} diverges", (0.96, 0.04), xycoords="axes fraction",
                    ha="right", fontsize=8, color=ALERT,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
                )  # fmt: skip
        legend(made, len(COLORS))
    return Drawing(
        "fig3",
        "Paths over contours of the loss, from the squares to the crosses, the optima. The discs "
        "are where each optimizer is at the step when AdaBelief has arrived; what comes later "
        f"is thin, up to step {times[-1]:,}. EAdam and Adam lie upon each other.",
        saved(made),
    )


def surfaces(data: Mapping[str, Any]) -> Drawing:
    """Panels (f) and (h): Beale and Rosenbrock in three dimensions."""
    with look():
        made = figure(9.6, 5.2)
        chosen = [each for each in LANDSCAPES if each.name in ("beale", "rosenbrock")]
        for k, landscape in enumerate(chosen, start=1):
            axes: Any = made.add_subplot(1, 2, k, projection="3d", computed_zorder=False)
            view = landscape.around(landscape.starts[0].point)
            x, y = np.meshgrid(np.linspace(*view[:2], 161), np.linspace(*view[2:], 161))
            axes.plot_surface(x, y, heights(landscape, x, y), cmap="Blues_r", alpha=0.55,
                              rcount=80, ccount=80, linewidth=0, zorder=1)  # fmt: skip
            for name in ORDER:
                path = positions(data["paths"][landscape.name][0][name])
                axes.plot(*path.T, heights(landscape, *path.T) + 0.03, color=COLORS[name],
                          ls=LINES[name], lw=1.6, zorder=2)  # fmt: skip
            best = landscape.optimum
            axes.plot(*best, [heights(landscape, *best)], "x", color=OPTIMUM, ms=10, mew=2.5,
                      zorder=3)  # fmt: skip
            axes.set(xlabel="x", ylabel="y")
            for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
                axis.set_major_locator(MaxNLocator(5))
            axes.tick_params(labelsize=7, colors=MUTED)
            axes.view_init(38, -60 if landscape.name == "beale" else -120)
            axes.set_title(f"({'fh'[k - 1]}) {landscape.formula}: log₁₀(loss + 0.1)", fontsize=10)
        legend(made, len(COLORS))
    return Drawing(
        "fig3-surfaces",
        "The same paths from the standard starts of Beale's and Rosenbrock's function, over the "
        "logarithm of the loss.",
        saved(made),
    )
