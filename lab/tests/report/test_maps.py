"""Maps of the trials: which panels there are, what a cell holds, how far the colours go."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.declare.search_space import Choices, LogRange
from adabelief_lab.declare.study import RunRecord, Study
from adabelief_lab.declare.workload import Preset
from adabelief_lab.optimizers import OptimizerSpec, Search
from adabelief_lab.report import maps as report_maps
from adabelief_lab.report.alt_text import alternative
from adabelief_lab.report.chart import Chart, tick
from adabelief_lab.report.charts import charts
from adabelief_lab.report.figures import files
from adabelief_lab.report.page import html
from studies import End, final, record, spec, study, tuned


def searching(name: str, **knobs: LogRange) -> OptimizerSpec:
    one = spec(name)
    return one.model_copy(update={"space": one.space | knobs})


EPS, DECAY = LogRange(low=1e-8, high=1e-4), LogRange(low=1e-5, high=1e-3)


def declared(
    *specs: OptimizerSpec,
    search: Search = "grid",
    trials: int = 9,
    direction: Literal["min", "max"] = "max",
) -> Study:
    settings = Preset(steps=20, eval_every=10, trials=trials, seeds=1, search=search)
    return study(
        [one.name for one in specs], direction=direction, optimizers=specs, settings=settings
    )


def maps(one: Study, **ends: list[End]) -> Chart | None:
    found: list[RunRecord] = [each for name, of in ends.items() for each in tuned(one, name, of)]
    return next((chart for chart in charts(analyze(one, found)) if chart.name == "maps"), None)


def test_a_grid_is_a_map_with_its_winner_and_its_divergences() -> None:
    """lr is 1e-4, 1e-3, 1e-2, each with eps 1e-8, 1e-6, 1e-4."""
    ends: list[End] = [1.0, 2.0, 3.0, 4.0, 9.0, 6.0, 7.0, "diverged", "failed"]
    chart = maps(declared(searching("ours", eps=EPS, weight_decay=DECAY)), ours=ends)
    assert chart is not None
    (panel,) = chart.panels
    assert (panel.x_title, panel.y_title, panel.grid) == ("lr", "eps", True)
    assert panel.x_values == (1e-4, 1e-3, 1e-2)
    assert panel.y_values == (1e-8, 1e-6, 1e-4)
    assert [(cell.x, cell.y, cell.value) for cell in panel.cells] == [
        (1e-4, 1e-8, 1.0),
        (1e-4, 1e-6, 2.0),
        (1e-4, 1e-4, 3.0),
        (1e-3, 1e-8, 4.0),
        (1e-3, 1e-6, 9.0),
        (1e-3, 1e-4, 6.0),
        (1e-2, 1e-8, 7.0),
        (1e-2, 1e-6, None),
    ]
    assert panel.chosen == panel.cells[4]
    text = alternative(chart)
    assert "Ours: 8 cells, 9.00 at the chosen lr 0.001, eps 1e-6, 1 diverged" in text


def test_an_optimizer_without_eps_has_its_decay_and_one_with_neither_no_map() -> None:
    one = declared(searching("sgd", weight_decay=DECAY), spec("plain"))
    ends: list[End] = [float(value) for value in range(9)]
    chart = maps(one, sgd=ends, plain=ends)
    assert chart is not None
    assert [(panel.label, panel.y_title) for panel in chart.panels] == [("Sgd", "weight_decay")]


def test_sobol_points_are_dots_over_every_knob() -> None:
    one = declared(searching("ours", eps=EPS, weight_decay=DECAY), search="space", trials=5)
    chart = maps(one, ours=[1.0, 2.0, "diverged", 5.0, 3.0])
    assert chart is not None
    assert [(panel.y_title, panel.grid) for panel in chart.panels] == [
        ("eps", False),
        ("weight_decay", False),
    ]
    points = one.points(one.optimizers[0])
    for panel in chart.panels:
        places = [(point["lr"], point[panel.y_title]) for point in points]
        assert [(cell.x, cell.y) for cell in panel.cells] == places
        assert panel.chosen == panel.cells[3]


def test_a_cell_of_a_grid_of_three_knobs_shows_the_best_and_so_the_winner() -> None:
    paper = {
        "momentum": Choices(values=(0.5, 0.9)),
        "lr": Choices(values=(0.1, 0.01)),
        "weight_decay": Choices(values=(1e-4, 1e-2)),
    }
    ours = spec("ours").model_copy(update={"paper": paper})
    ends: list[End] = ["diverged", "diverged", 3.0, 1.0, "diverged", 5.0, 2.0, 9.0]
    chart = maps(declared(ours, search="paper"), ours=ends)
    assert chart is not None
    found = {
        (panel.y_title, cell.x, cell.y): cell.value
        for panel in chart.panels
        for cell in panel.cells
    }
    assert found == {
        ("momentum", 0.1, 0.5): None,
        ("momentum", 0.01, 0.5): 3.0,
        ("momentum", 0.1, 0.9): 5.0,
        ("momentum", 0.01, 0.9): 9.0,
        ("weight_decay", 0.1, 1e-4): None,
        ("weight_decay", 0.01, 1e-4): 3.0,
        ("weight_decay", 0.1, 1e-2): 5.0,
        ("weight_decay", 0.01, 1e-2): 9.0,
    }
    assert all(panel.grid and panel.chosen for panel in chart.panels)
    assert {panel.chosen.value for panel in chart.panels if panel.chosen} == {9.0}


def test_learning_rates_alone_are_no_map() -> None:
    assert (
        maps(declared(searching("ours", eps=EPS), search="lr", trials=3), ours=[1.0, 2.0, 3.0])
        is None
    )


@pytest.mark.parametrize(
    ("direction", "ends", "y_range"),
    [
        # The median is 7, 2 from the best: colours end at 5, and −1000 takes the last.
        ("max", [9.0, 8.0, 7.0, 6.0, -1000.0], (5.0, 9.0)),
        ("min", [1.0, 2.0, 3.0, 4.0, 20.0], (5.0, 1.0)),
        # Beyond a ratio of 30 the distances are ratios: 10 to the median, so 100 from the best.
        ("min", [0.05, 0.1, 0.5, 1.0, 1e9], (5.0, 0.05)),
        # Nothing is as far out as twice the median's distance.
        ("max", [9.0, 8.0, 5.0, 5.0, 4.0], (4.0, 9.0)),
        # The median is the best.
        ("max", [9.0, 9.0, 9.0, 9.0, 4.0], (4.0, 9.0)),
        ("min", [2.0] * 5, (3.0, 2.0)),
        ("max", ["diverged"] * 5, (0.0, 1.0)),
    ],
)
def test_colours_tell_apart_what_is_worth_comparing(
    direction: Literal["min", "max"], ends: list[Any], y_range: tuple[float, float]
) -> None:
    one = declared(searching("ours", eps=EPS), search="space", trials=5, direction=direction)
    chart = maps(one, ours=ends)
    assert chart is not None
    assert chart.y_range == pytest.approx(y_range)
    worst = f"the last colour means {'≤' if direction == 'max' else '≥'} 5.00"
    assert (worst in chart.caption) == (y_range[0] == 5.0)
    (_, svg), *_ = files(chart, "Reduced data", ["svg"])
    assert b"<!-- Reduced data -->" in svg


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01, "0.01"),
        (5.623e-4, "5.6e-4"),
        (1e-8, "1e-8"),
        (150.0, "150"),
        (1649.3, "1649"),
        (15000.0, "1.5e4"),
        (4.79e32, "4.8e32"),
        (0.0, "0"),
        (0.05623, "0.056"),
        (0.001, "0.001"),
    ],
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert tick(value) == text


def test_runs_that_are_pending_leave_their_cells_empty() -> None:
    one = declared(searching("ours", eps=EPS), trials=4)
    runs = one.tune_runs(one.optimizers[0])
    found = [record(run, end) for run, end in zip(runs, [1.0, None, 2.0, None], strict=True)]
    (chart,) = [each for each in charts(analyze(one, found)) if each.name == "maps"]
    (panel,) = chart.panels
    assert panel.grid
    assert [cell.value for cell in panel.cells] == [1.0, 2.0]
    assert panel.chosen is None


@pytest.mark.parametrize("search", ["space", "lr"])
def test_of_many_trials_some_of_everywhere_and_the_chosen_one_are_shown(search: Search) -> None:
    """With "lr" they are a ladder: its first ones would be the small learning rates."""
    one = declared(searching("ours", eps=EPS), search=search, trials=600)
    ends: list[End] = [float(i % 7) for i in range(600)]
    ends[590] = 99.0
    found = tuned(one, "ours", ends)
    comparison = analyze(one, found)
    drawn = {chart.name: chart for chart in charts(comparison)}
    keys = [each.run.key for each in found]
    (line,) = drawn["sensitivity"].lines
    shown = {point.key for point in line.points}
    assert len(shown) in (256, 257)
    # A hypergeometric count of each half: five standard deviations are 28 beside 128.
    assert 100 < len(shown & set(keys[:300])) < 156
    assert line.ring is not None
    assert line.ring.key == keys[590]
    assert keys[590] in shown
    page = html(comparison, found, [])
    assert {key for key in keys if f'id="run-{key}"' in page} == shown
    note = "Of up to 600 trials of an optimizer 256, drawn at random, and the chosen one are shown."
    assert note in page
    assert note in drawn["sensitivity"].caption
    if search == "space":
        (panel,) = drawn["maps"].panels
        assert {cell.key for cell in panel.cells} == shown
        assert panel.chosen is not None
        assert note in drawn["maps"].caption


def test_a_grid_is_drawn_whole() -> None:
    one = declared(searching("ours", eps=EPS), trials=289)
    comparison = analyze(one, tuned(one, "ours", [1.0] * 289))
    chart = next(chart for chart in charts(comparison) if chart.name == "maps")
    assert len(chart.panels[0].cells) == 289


def test_of_many_maps_those_of_the_best_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_maps, "PANELS", 2)
    one = declared(*(searching(name, eps=EPS) for name in ("ours", "adam", "sgd")))
    found = [
        each
        for name, value in (("ours", 1.0), ("adam", 3.0), ("sgd", 2.0))
        for each in (*tuned(one, name, [value] * 9), *final(one, name, 1e-4, [value]))
    ]
    chart = next(chart for chart in charts(analyze(one, found)) if chart.name == "maps")
    # Final runs need a chosen trial, the first of equals: lr 1e-4.
    assert [panel.label for panel in chart.panels] == ["Adam", "Sgd"]
    assert chart.caption.endswith("Of 3 maps those of the best optimizers.")
