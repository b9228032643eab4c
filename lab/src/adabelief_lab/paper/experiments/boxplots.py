"""Figure 6: last values as boxes, optimizers that succeed beside those that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adabelief_lab.paper.drawing import figure, look, saved
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.experiments.drawing import Panel, as_csv, mark, reduced
from adabelief_lab.report.palette import ALERT, LIGHT, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {
    "ok": ("o", MUTED),
    "collapsed": ("s", LIGHT[1]),
    "no_better_than_mean_image": ("x", ALERT),
}


def boxes(panel: Panel) -> Drawing:
    """Two axes of their own scales: an optimizer fails if most of its runs came to nothing."""
    specs = [each for each in panel["optimizers"] if _known(each)]
    failed = [each for each in specs if fails(each["states"], each["failures"])]
    succeeded = [each for each in specs if each not in failed]
    there = [(name, group) for name, group in (("Successful", succeeded), ("Failed", failed))
             if group]  # fmt: skip
    with look():
        made = figure(max(6.0, 1.5 + 0.62 * len(specs)), 4.2)
        ratios = [len(group) + 1 for _, group in there]
        axes = made.subplots(1, max(1, len(there)), squeeze=False, width_ratios=ratios or None)[0]
        for place, (name, group) in zip(axes, there, strict=False):
            _draw(place, group)
            place.set_title(name)
        axes[0].set_ylabel(f"Test {panel['metric']}")
        mark(made, panel)
    caption = (
        f"{panel['title']}: each seed's last value ({panel['judged']}), box and median as in "
        "figure 6. Squares: "
        "collapsed; crosses: no better than the mean image, or diverged (at the upper edge). "
        f"Failed are those most of whose runs are crosses.{reduced(panel)}"
    )
    rows = [
        (each["name"], seed, state, " ".join(failures), value, best)
        for each in panel["optimizers"]
        for seed, (state, failures, value, best) in enumerate(
            zip(each["states"], each["failures"], each["values"], each["best"], strict=True)
        )
    ]
    table = as_csv(("optimizer", "seed", "state", "failures", "last", "best"), rows)
    return Drawing(f"{panel['workload']}-boxes", caption, {**saved(made), "csv": table})


def _draw(axes: Axes, specs: Sequence[Mapping[str, Any]]) -> None:
    values = [[value for value in each["values"] if value is not None] for each in specs]
    axes.boxplot(values, widths=0.5, showfliers=False, medianprops={"color": LIGHT[0]})
    for place, each in enumerate(specs, 1):
        for state, failures, value in zip(
            each["states"], each["failures"], each["values"], strict=True
        ):
            if value is None and state == "diverged":
                axes.plot(
                    [place], [1.0], "x", color=ALERT, clip_on=False,
                    transform=axes.get_xaxis_transform(),
                )  # fmt: skip
            if value is not None:
                marker, color = _MARKS[_worst(failures)]
                axes.plot([place], [value], marker, color=color, markersize=5, zorder=3)
    labels = [each["label"] for each in specs]
    axes.set_xticks(range(1, len(specs) + 1), labels, rotation=40, ha="right", fontsize=8)


def _worst(failures: Sequence[str]) -> str:
    return next(
        (name for name in ("no_better_than_mean_image", "collapsed") if name in failures), "ok"
    )


def _known(spec: Mapping[str, Any]) -> bool:
    return any(state in ("ok", "diverged") for state in spec["states"])


def fails(states: Sequence[str], failures: Sequence[Sequence[str]]) -> bool:
    """Whether most runs that ended diverged, or are no better than the mean image."""
    lost = [
        state == "diverged" or "no_better_than_mean_image" in names
        for state, names in zip(states, failures, strict=True)
        if state in ("ok", "diverged")
    ]
    return 2 * sum(lost) > len(lost)
