"""The web page: one file that opens from a disk without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from adabelief_lab.analysis import formatting
from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.sentences import diverged, metric_name
from adabelief_lab.declare.study import RunRecord
from adabelief_lab.report.alt_text import alternative
from adabelief_lab.report.chart import FORMATS, Chart
from adabelief_lab.report.palette import (
    DARK,
    DASHES,
    LIGHT,
    MARKERS,
    SCALE,
    dash_index,
    marker_index,
    styles,
)
from adabelief_lab.report.protocol import protocol, searched
from adabelief_lab.report.row_sampling import hidden, note


def html(comparison: Comparison, records: Sequence[RunRecord], charts: Sequence[Chart]) -> str:
    """The whole page. Everything that comes from a study is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    metric = comparison.study.primary_metric
    environment.filters.update(
        mean=partial(formatting.mean_text, metric=metric),
        difference=partial(formatting.mean_text, metric=metric, signed=True),
        number=formatting.number,
        lr=formatting.learning_rate,
        setting=formatting.setting,
        p=formatting.p_value,
        steps=formatting.steps,
        raw=_raw,
        diverged=diverged,
        spread=partial(formatting.in_unit, metric=metric),
    )
    return environment.from_string(_own_file("page.html")).render(
        comparison=comparison,
        study=comparison.study,
        metric=metric,
        metric_name=metric_name(comparison),
        target=formatting.in_unit(comparison.target, metric),
        runs=_runs_by_optimizer(comparison, records),
        last=partial(_last, comparison),
        styles=styles(comparison),
        facts=_facts(comparison),
        protocol=protocol(comparison),
        searched=partial(searched, comparison.study),
        excerpt=note(comparison),
        charts=charts,
        alternative=alternative,
        formats=FORMATS,
        chart_data=_chart_data(comparison, charts),
        light=LIGHT,
        dark=DARK,
        # Our own files, not a study's text: the only strings that are not escaped.
        css=Markup(_own_file("page.css")),
        sorting=Markup(_own_file("sorting.js")),
        script=Markup(_own_file("maps.js") + _own_file("charts.js")),
        plotly=Markup(get_plotlyjs() if charts else ""),
    )


def _own_file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _raw(value: float | None) -> str:
    """A number that tables are sorted by, as JavaScript reads it."""
    if value is None:
        return ""
    return "Infinity" if value == math.inf else repr(value)


def _runs_by_optimizer(
    comparison: Comparison, records: Sequence[RunRecord]
) -> list[tuple[str, list[RunRecord]]]:
    groups: dict[str, list[RunRecord]] = {spec.name: [] for spec in comparison.study.optimizers}
    left_out = hidden(comparison)
    for record in records:
        if record.run.key not in left_out:
            groups.setdefault(record.run.optimizer, []).append(record)
    return list(groups.items())


def _last(comparison: Comparison, record: RunRecord) -> str:
    metric = comparison.study.primary_metric
    return formatting.in_unit(
        record.result.last.get(metric.name) if record.result else None, metric
    )


def _facts(comparison: Comparison) -> list[tuple[str, list[str], bool]]:
    """Each fact of the environments: its name, its value in each, and whether they differ."""
    environments = [environment for environment, _ in comparison.environments]
    names = list(dict.fromkeys(name for environment in environments for name in environment))
    table = [
        (name, [str(environment.get(name, formatting.NOTHING)) for environment in environments])
        for name in names
    ]
    return [(name, values, len(set(values)) > 1) for name, values in table]


def _chart_data(comparison: Comparison, charts: Sequence[Chart]) -> dict[str, object]:
    looks = [
        {
            "dash": DASHES[dash_index(style)][1],
            "marker": MARKERS[marker_index(style)][1],
            "color": style % len(LIGHT),
        }
        for style in range(len(comparison.summaries))
    ]
    return {
        "charts": [asdict(chart) for chart in charts],
        "looks": looks,
        "palettes": {"light": LIGHT, "dark": DARK},
        "scale": SCALE.capitalize(),
        "watermark": comparison.study.settings.watermark,
    }
