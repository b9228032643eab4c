"""Figure 1: a curve with a flat part, an even slope and a narrow valley, and who goes how far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from adabelief_lab.paper.drawing import COLORS, LINES, figure, look, saved
from adabelief_lab.paper.exhibit import Cell, Drawing, Exhibit, Findings, Table
from adabelief_lab.paper.fig1_regions import CASES, KNOTS, LR, STEPS, height, slope, walk

OPTIMIZERS = ("SGD", "Adam", "AdaBelief")
POINTS = 100  # of each path in the record
# Steps that are drawn: of the valley few, or the oscillations would be a blot.
DRAWN = {"1": STEPS, "2": POINTS, "3": STEPS}


def measure() -> Findings:
    """Each optimizer from the start of each region."""
    paths = {case.name: {name: walk(name, case).path for name in OPTIMIZERS} for case in CASES}
    rows: list[tuple[Cell, ...]] = [
        (
            f"{case.name}: {case.what}",
            case.start,
            abs(slope(case.start)),
            *(float(abs(path[-1] - path[0])) for path in paths[case.name].values()),
        )
        for case in CASES
    ]
    table = Table(
        f"Distance from the start after {STEPS:,} steps of lr {LR:g}",
        ("case", "start", "slope there", *OPTIMIZERS),
        tuple(rows),
        "A far end is good on the flat and on the even slope, and bad in the valley.",
    )
    data = {
        case: {
            name: path[: DRAWN[case] + 1 : DRAWN[case] // POINTS].tolist()
            for name, path in own.items()
        }
        for case, own in paths.items()
    }
    return Findings({"paths": data}, [table])


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """The curve with the ends, and x over the steps in each region."""
    x = np.linspace(KNOTS[0], KNOTS[-1], 2000)
    with look():
        made = figure(9, 5.6)
        top, *below = made.subplot_mosaic(
            [["curve"] * 3, ["1", "2", "3"]], height_ratios=(1.1, 1)
        ).values()
        top.plot(x, height(x), color="#5c6570", lw=1.5)
        for case, panel in zip(CASES, below, strict=True):
            start = np.array([case.start])
            top.annotate(
                case.name, (case.start, float(height(start)[0])), xytext=(0, 14),
                textcoords="offset points", ha="center", fontsize=11,
                bbox={"boxstyle": "circle", "fc": "white", "ec": "#5c6570"},
            )  # fmt: skip
            for name, path in data["paths"][case.name].items():
                steps = np.linspace(0, DRAWN[case.name], len(path))
                panel.plot(steps, np.array(path) - path[0], color=COLORS[name], ls=LINES[name],
                           label=name)  # fmt: skip
            panel.set(title=f"{case.name}: {case.what}", xlabel="step")
        top.margins(y=0.25)
        top.set(xlabel="x", ylabel="f(x)", title="f: flat (1), even slope (3), narrow valley (2)")
        below[0].set_ylabel("x − start")
        below[0].legend()
    yield Drawing(
        "fig1",
        "Above: the curve, whose numbers are ours (the paper draws it without any). Below: how "
        "far each optimizer moved from the start of each region, at the same learning rate.",
        saved(made),
    )


FIG1 = Exhibit("fig1", "Figure 1: flat, even slope, and valley", "Section 2.2", measure, draw)
