"""How the numbers were made, in sentences generated from the declaration."""

from __future__ import annotations

from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.statistics import seeds_needed
from adabelief_lab.common.plurals import count
from adabelief_lab.declare.search_space import point_text, shown
from adabelief_lab.declare.study import Study
from adabelief_lab.declare.workload import Preset
from adabelief_lab.optimizers import OptimizerSpec


def protocol(comparison: Comparison) -> list[str]:
    """Budget, tuning, seeds, measurement and tests, one paragraph each."""
    study = comparison.study
    settings = study.settings
    metric = study.primary_metric
    name = metric.label or metric.name
    best = "highest" if metric.direction == "max" else "lowest"
    return [
        f"{_budget(comparison)}, then "
        f"{count(settings.seeds, 'final run')}, each of {count(settings.steps, 'step')} with "
        f"{settings.schedule}{_own_schedules(study)}. No run is stopped early unless it diverges."
        f"{_options(settings)}",
        _selection(study, best, name),
        "Seeds are paired: seed s fixes the initial weights and the order of the data for every "
        "optimizer, so that differences are taken between runs that began alike. Values are "
        f"those of the last evaluation, made every {count(settings.eval_every, 'step')}; the best "
        "value over training is optimistic and ranks nothing.",
        _tests(comparison),
        "A run that diverged counts as worse than any number in ranks and tests (a pair with one "
        "is tested by signed ranks). A run that failed with an error says nothing about quality "
        "and is left out, and counted.",
    ]


def searched(study: Study, spec: OptimizerSpec) -> list[tuple[str, str]]:
    """The knobs that are searched, each with its values or range, and how points are taken."""
    if study.settings.search == "paper" and spec.paper:
        return [(f"{name}: {knob}", "every combination") for name, knob in spec.paper.items()]
    points = study.points(spec)
    if study.settings.search == "published":
        return [(point_text(points[0]), "published, not searched")]
    if study.settings.search == "grid" or set(points[0]) == {"lr"}:
        values = {name: dict.fromkeys(shown(point[name]) for point in points) for name in points[0]}
        how = ", every combination" if len(values) > 1 else ""
        return [
            (f"{name}: {', '.join(each)}", f"{spec.space[name]}, equal ratios{how}")
            for name, each in values.items()
        ]
    how = f"the first {count(len(points), 'point')} of a Sobol sequence"
    return [(f"{name}: {knob}", how) for name, knob in spec.space.items()]


def _budget(comparison: Comparison) -> str:
    """How many trials each has, and over what."""
    settings = comparison.study.settings
    if settings.search == "published":
        return "No optimizer is tuned: each has the settings that were published for this workload"
    trials = sorted({len(one.trials) for one in comparison.summaries})
    if len(trials) == 1:
        budget = f"Every optimizer gets the same budget: {count(trials[0], 'tuning trial')}"
        over = {"space": " over its whole search space", "grid": " over a square grid"}
        return budget + over.get(settings.search, "")
    return (
        "Optimizers do not get the same number of tuning trials: the grids are those of Zhuang et "
        f"al. 2020, section 3, and have {trials[0]} to {trials[-1]} points"
    )


def _options(settings: Preset) -> str:
    """What the workload was told, beyond the size of the comparison."""
    each = ", ".join(f"{name}={shown(value)}" for name, value in settings.options.items())
    return f" Options of the workload: {each}." if each else ""


def _selection(study: Study, best: str, name: str) -> str:
    """What final runs are and how they were come by."""
    if study.settings.search == "published":
        return "Runs are measured on the test split, which chose nothing here."
    return (
        "Tuning runs share one pair of seeds and are judged on the validation split only: the "
        f"{best} {name} at the last evaluation wins. The winner is then run on fresh seeds and "
        "measured on the test split, which tuning never sees."
    )


def _own_schedules(study: Study) -> str:
    """The optimizers that have another schedule than the others."""
    own = [spec for spec in study.optimizers if spec.schedule is not None]
    if not own:
        return ""
    return f" ({'; '.join(f'{spec.label}: {spec.schedule}' for spec in own)})"


def _tests(comparison: Comparison) -> str:
    text = "Intervals are 95% t-intervals over seeds."
    comparisons = len(comparison.paired_tests)
    if not comparisons:
        return text
    return (
        f"{text} Verdicts come from the exact two-sided sign-flip test of the paired "
        f"differences, corrected by Holm's method for {count(comparisons, 'comparison')}, at "
        f"the {comparison.alpha:.0%} level. {seeds_needed(comparisons, comparison.alpha)} seeds "
        "are the fewest with which that can decide anything. The test takes the number of seeds "
        "as fixed beforehand: adding seeds until a verdict appears would make it false."
    )
