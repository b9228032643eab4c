"""A panel's curves, and its last values beside those that others reported."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adabelief_lab.paper.drawing import figure, look, saved
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.experiments.reported import compared
from adabelief_lab.report.palette import (
    ALERT,
    DASHES,
    LIGHT,
    MARKERS,
    MUTED,
    dash_index,
    marker_index,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panel = Mapping[str, Any]


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Two pictures of each panel, with their numbers as CSV."""
    for panel in data["panels"]:
        yield curves(panel)
        yield beside(panel, data["sources"])


def curves(panel: Panel) -> Drawing:
    """The test metric over training."""
    with look():
        made = figure(8, 4.6)
        axes = made.add_subplot()
        for style, spec in enumerate(panel["optimizers"]):
            curve = spec["curve"]
            if curve is None:
                continue
            color = LIGHT[style % len(LIGHT)]
            axes.plot(
                curve["steps"], curve["mean"], color=color, label=spec["label"],
                linestyle=DASHES[dash_index(style)][0], linewidth=2.4 if style == 0 else 1.3,
                zorder=3 if style == 0 else 2,
            )  # fmt: skip
            axes.fill_between(
                curve["steps"], curve["low"], curve["high"], color=color, alpha=0.12, linewidth=0
            )
        axes.set_title(f"{panel['title']}, preset {panel['preset']}")
        axes.set_xlabel("Optimizer step")
        axes.set_ylabel(f"Test {panel['metric']}")
        if axes.lines:  # a run that diverged before its first evaluation has no curve
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        mark(made, panel)
    caption = (
        f"{panel['title']}: test {panel['metric']} during training; mean over seeds, band from the "
        f"lowest to the highest.{reduced(panel)}"
    )
    rows = [
        (spec["name"], *point)
        for spec in panel["optimizers"]
        if (curve := spec["curve"])
        for point in zip(curve["steps"], curve["mean"], curve["low"], curve["high"], strict=True)
    ]
    table = as_csv(("optimizer", "step", "mean", "low", "high"), rows)
    return Drawing(f"{panel['workload']}-curves", caption, {**saved(made), "csv": table})


def beside(panel: Panel, sources: Mapping[str, str]) -> Drawing:
    """Left ours, right the others' if there are any, in one order, with scales of their own."""
    specs = sorted(panel["optimizers"], key=_order, reverse=True)
    there = [name for name in sources if any(name in spec["reported"] for spec in specs)]
    with look():
        made = figure(8, 1.2 + 0.3 * len(specs))
        ours, *others = made.subplots(1, 2 if there else 1, sharey=True, squeeze=False)[0]
        for row, spec in enumerate(specs):
            values = [value for value in spec["values"] if value is not None]
            color = LIGHT[0] if spec["name"] == panel["optimizers"][0]["name"] else MUTED
            ours.plot(values, [row] * len(values), "o", color=color, markersize=4, alpha=0.8)
            if values:
                ours.plot([sum(values) / len(values)], [row], "|", color=color, markersize=12)
            for theirs in others:
                _reported(theirs, row, spec, there)
        ours.set_yticks(range(len(specs)), [spec["label"] for spec in specs])
        ours.set_title("Ours, last evaluation")
        ours.set_xlabel(f"Test {panel['metric']}")
        for theirs in others:
            theirs.set_title("Reported by others")
            theirs.set_xlabel(f"Test {panel.get('reported_as', panel['metric'])}")
            # A source is drawn once a row, and named once.
            handles = dict(zip(*reversed(theirs.get_legend_handles_labels()), strict=True))
            theirs.legend(handles.values(), handles.keys(), fontsize=8, loc="best")
        mark(made, panel)
    told = "; ".join(f"{name}: {sources[name]}" for name in there)
    caption = (
        f"{panel['title']}: each seed's last value (bar: mean)"
        f"{f' beside what others reported ({told})' if there else ''}.{reduced(panel)}"
    )
    rows = [
        (spec["name"], seed, state, value, best)
        for spec in panel["optimizers"]
        for seed, (state, value, best) in enumerate(
            zip(spec["states"], spec["values"], spec["best"], strict=True)
        )
    ]
    table = as_csv(("optimizer", "seed", "state", "last", "best"), rows)
    return Drawing(f"{panel['workload']}-reported", caption, {**saved(made), "csv": table})


def _reported(axes: Axes, row: int, spec: Mapping[str, Any], sources: Sequence[str]) -> None:
    for place, source in enumerate(sources):
        if source in spec["reported"]:
            axes.plot(
                [compared(spec["reported"][source])[1]], [row],
                MARKERS[marker_index(place)][0], color=LIGHT[place], markersize=5, label=source,
            )  # fmt: skip


def _order(spec: Mapping[str, Any]) -> tuple[float, float]:
    """By what was reported, those of whom nothing was at the end; then by ours."""
    numbers = [compared(each)[1] for each in spec["reported"].values()]
    values = [value for value in spec["values"] if value is not None]
    return (numbers[0] if numbers else float("inf"), sum(values) / len(values) if values else 0.0)


def mark(made: Figure, panel: Panel) -> None:
    """Say in a figure that training was reduced."""
    if panel["watermark"]:  # below the axes, where nothing is drawn
        made.supxlabel(panel["watermark"], x=0.99, ha="right", color=ALERT, fontsize=8)


def reduced(panel: Panel) -> str:
    """The same in a caption, after its last sentence."""
    # Not str.capitalize, which makes "resnet34" of "ResNet34".
    mark = panel["watermark"]
    return f" {mark[0].upper()}{mark[1:]}." if mark else ""


def as_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as a file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
