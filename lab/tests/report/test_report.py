from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.declare.search_space import LogRange, point_text
from adabelief_lab.declare.study import RunRecord, Study, plan
from adabelief_lab.declare.workload import Metric, Preset
from adabelief_lab.report import write
from adabelief_lab.report.charts import charts
from adabelief_lab.report.figures import files
from adabelief_lab.report.page import html
from adabelief_lab.report.palette import LIGHT, dash_index
from adabelief_lab.report.runs import runs_csv
from adabelief_lab.report.tables import terminal
from studies import End, final, record, records, spec, study, tuned

EVIL = '<script>alert("x")</script>&$\\frac{$[red]'


class Page(HTMLParser):
    """The elements of a page, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in {"script", "style"}:
            self.raw.append(data)
        else:
            self.words += data

    def every(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.elements if (value := attrs.get(attribute))]


def parsed(text: str) -> tuple[Page, str]:
    """The page, parsed, and its text without plotly's own source."""
    own = re.sub(r'<script id="plotly">.*?</script>', "", text, flags=re.DOTALL)
    return Page(own), own


def shown(declared: Study, found: list[RunRecord]) -> tuple[Page, str]:
    """The page alone, without files."""
    comparison = analyze(declared, found)
    return parsed(html(comparison, found, charts(comparison)))


def squeezed(text: str) -> str:
    """HTML without the line ends between and within its cells."""
    return re.sub(r"\s*\n\s*", "", text)


def complete(**changes: Any) -> tuple[Study, list[RunRecord]]:
    declared = study(("ours", "adam", "sgd"), **changes)
    ours: list[End] = [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    adam: list[End] = [4.0, 4.0, 4.0, 4.0, 4.0, "diverged"]
    sgd: list[End] = [1.0, 1.0, 1.0, 1.0, 1.0, "failed"]
    return declared, records(declared, {"ours": ours, "adam": adam, "sgd": sgd})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the complete study on disk, written over that of the empty one."""
    root = tmp_path_factory.mktemp("report")
    declared, found = complete()
    write(analyze(declared, []), [], root)
    assert not (root / "figures").exists()
    assert write(analyze(declared, found), found, root) == root / "report.html"
    return root


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def chart_data(own: str) -> Any:
    match = re.search(r'<script id="chart-data"[^>]*>(.*?)</script>', own, flags=re.DOTALL)
    assert match

    def refuse(literal: str) -> None:
        pytest.fail(f"{literal} is not JSON")

    return json.loads(match[1], parse_constant=refuse)


def test_the_page_loads_nothing_from_anywhere(text: str) -> None:
    page, own = parsed(text)
    for address in [*page.every("src"), *page.every("href"), *page.every("srcset")]:
        assert not re.match(r"(?i)\s*(https?:|//|ftp:|file:|/)", address), address
    assert not re.search(r"(?i)url\(|@import|\bimport\s*\(|fetch\(|XMLHttpRequest", own)
    assert [attrs for tag, attrs in page.elements if tag == "script" and "src" in attrs] == []
    rels = [attrs["rel"] for tag, attrs in page.elements if tag == "link"]
    assert rels == ["icon"], "style sheets are inlined"


def test_plotly_is_inlined_exactly_once(text: str) -> None:
    assert len(re.findall(r"\* plotly\.js v\d", text)) == 1


def test_the_results_table_counts_what_diverged_and_failed(text: str) -> None:
    cells = re.findall(r'<td class="n(?: alert)?">(\d+/\d+)(, \d+ failed)?</td>', squeezed(text))
    assert sorted(cells) == [("0/6", ""), ("0/6", ", 1 failed"), ("1/6", "")]


def test_every_run_is_linked_by_its_folder(text: str) -> None:
    page, _ = parsed(text)
    _, found = complete()
    linked = set(page.every("href"))
    for one in found:
        names = ("", "spec.json", "metrics.jsonl", "result.json")
        assert {f"runs/{one.run.key}/{name}" for name in names} <= linked
    anchors = {address[1:] for address in linked if address.startswith("#")}
    assert anchors
    assert anchors <= set(page.every("id"))


def test_every_file_that_the_page_names_exists(folder: Path, text: str) -> None:
    page, _ = parsed(text)
    names = [*page.every("href"), *page.every("src")]
    local = [name for name in names if not name.startswith(("#", "runs/", "data:"))]
    assert {"runs.csv", "summary.csv", "figures/seeds.png"} <= set(local)
    assert all((folder / name).is_file() for name in local)


def test_text_from_a_study_is_never_markup() -> None:
    specs = (spec("ours", EVIL), spec("adam", "</script><b>"))
    declared = study(title=EVIL, data=EVIL, optimizers=specs, seeds=2, source="<img src=x>")
    found = records(declared, {"ours": [1.0, 2.0], "adam": [1.0, 1.0]})
    found[-1] = record(found[-1].run, "failed", reason="<img src=y>")
    page, own = shown(declared, found)
    assert [tag for tag, _ in page.elements].count("script") == 3  # data, sorting, charts
    assert not {"img", "b"} & {tag for tag, attrs in page.elements if attrs.get("alt") is None}
    assert EVIL in page.words
    assert chart_data(own)["charts"][0]["rows"][0]["label"] == EVIL


def test_labels_are_no_mathematics_in_figures() -> None:
    declared = study(optimizers=(spec("ours", EVIL), spec("adam")), seeds=1, title=EVIL)
    comparison = analyze(declared, records(declared, {"ours": [1.0], "adam": [2.0]}))
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for chart in charts(comparison):
        for kind, content in files(chart, EVIL):
            assert content.startswith(starts[kind])


def test_chart_data_stay_valid_json_when_values_are_not_finite() -> None:
    declared = study(seeds=2)
    found = records(declared, {"ours": ["diverged", "diverged"], "adam": [1.0, "diverged"]})
    values = [float("nan"), 1e-300, 1.7e308, float("inf"), 1e149]
    rows = [{"step": i, "split": "train", "loss": value} for i, value in enumerate(values)]
    found[3] = RunRecord(found[3].run, found[3].result, rows)
    found[1] = record(found[1].run, 1.0, last={"score": float("nan")})
    found[0] = record(found[0].run, 2.0)
    _, own = shown(declared, found)
    names = [chart["name"] for chart in chart_data(own)["charts"]]
    assert names == ["seeds", "metric", "loss", "sensitivity", "tuning"]


@pytest.mark.parametrize("finished", [0, 1, 4, 9, 13])
def test_a_partial_study_renders_and_says_how_far_it_is(finished: int) -> None:
    declared, every = complete()
    done = every[:finished]
    results = {one.run.key: one.result for one in done if one.result}
    by_key = {one.run.key: one for one in done}
    found = [by_key.get(run.key, RunRecord(run, None)) for run in plan(declared, results)]
    page, _ = shown(declared, found)
    assert f"{finished} of 27 runs" in page.words
    assert page.words.count("pending") == len(found) - finished


def test_an_empty_study_has_a_page_without_charts() -> None:
    page, own = shown(study(), [])
    assert "Nothing has finished yet" in page.words
    assert "chart-data" not in own


def test_divergences_stand_beside_the_mean(text: str) -> None:
    page, _ = parsed(text)
    words = " ".join(page.words.split())
    assert re.search(r"Adam 4\.000 ± 0 ?5 of 6 runs 1/6", words)
    assert re.search(r"Sgd 1\.000 ± 0 ?5 of 6 runs 0/6, 1 failed", words)


def test_a_watermark_is_on_the_page_and_in_the_figures() -> None:
    settings = Preset(steps=20, eval_every=10, trials=3, seeds=6, watermark="Reduced data")
    declared, found = complete(settings=settings)
    page, own = shown(declared, found)
    assert page.words.count("Reduced data") == 1 + len(chart_data(own)["charts"]) + 1
    chart = charts(analyze(declared, found))[0]
    (_, svg), (_, without) = *files(chart, "Reduced data", ["svg"]), *files(chart, "", ["svg"])
    assert b"<!-- Reduced data -->" in svg
    assert b"<!-- Reduced data -->" not in without


def test_mixed_environments_are_pointed_out() -> None:
    declared, found = complete()
    found[0] = record(found[0].run, 0.0, environment={"torch": "2.13"})
    page, _ = shown(declared, found)
    assert "environments are mixed" not in page.words
    found[1] = record(found[1].run, 1.0, environment={"torch": "2.14"})
    page, _ = shown(declared, found)
    assert "2 environments are mixed" in page.words


def test_the_csv_of_runs_holds_the_records() -> None:
    declared, found = complete()
    found.append(RunRecord(found[-1].run.model_copy(update={"init_seed": 99}), None))
    lines = list(csv.DictReader(io.StringIO(runs_csv(analyze(declared, found), found))))
    assert [line["key"] for line in lines] == [one.run.key for one in found]
    for line, one in zip(lines, found, strict=True):
        assert json.loads(line["hyperparameters"]) == one.run.hyperparameters
        assert float(line["lr"]) == one.run.hyperparameters["lr"]
        assert (int(line["init_seed"]), int(line["data_seed"])) == (
            one.run.init_seed,
            one.run.data_seed,
        )
        assert line["status"] == (one.result.status if one.result else "pending")
        if one.result:
            value = one.result.last.get("score")
            assert line["last_score"] == ("" if value is None else str(value))
            assert float(line["seconds"]) == one.result.seconds
            assert int(line["step"]) == one.result.step


def test_the_csv_of_runs_is_written_whole(folder: Path) -> None:
    lines = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text())))
    assert [line["key"] for line in lines] == [one.run.key for one in complete()[1]]


def test_the_csv_summary_holds_the_comparison(folder: Path) -> None:
    comparison = analyze(*complete())
    lines = list(csv.DictReader(io.StringIO((folder / "summary.csv").read_text())))
    assert [line["optimizer"] for line in lines] == [
        one.optimizer.name for one in comparison.ranking
    ]
    by_name = {line["optimizer"]: line for line in lines}
    for paired in comparison.paired_tests:
        line = by_name[paired.optimizer]
        assert (float(line["p"]), float(line["p_holm"])) == (paired.p, paired.p_holm)
        assert (line["baseline_is"], int(line["pairs"])) == (paired.verdict, paired.n)
    assert (by_name["adam"]["diverged"], by_name["sgd"]["failed"]) == ("1", "1")
    assert float(by_name["ours"]["last_mean"]) == 7.5
    mean = comparison.summary("ours").mean
    assert mean is not None
    ends = (float(by_name["ours"]["last_low"]), float(by_name["ours"]["last_high"]))
    assert ends == (mean.low, mean.high)
    assert ends[0] < 7.5 < ends[1]
    assert by_name["ours"]["baseline_is"] == ""


def test_figures_have_the_drawn_size_and_are_not_blank(folder: Path) -> None:
    from matplotlib.image import imread  # noqa: PLC0415, only here is a PNG read

    for file in (folder / "figures").glob("*.png"):
        pixels = imread(file)
        assert pixels.shape[1] == 1200
        assert pixels.std() > 0.01, "it is not blank"


def test_metrics_are_shown_in_their_units() -> None:
    metrics = (Metric(name="score", direction="max", label="accuracy", percent=True),)
    declared = study(seeds=2, metrics=metrics)
    found = records(declared, {"ours": [0.5, 0.5], "adam": [0.25, 0.25]})
    page, own = shown(declared, found)
    assert "accuracy (%)" in page.words
    assert "50.00 ± 0" in page.words
    assert "+25.00 ± 0" in page.words
    row = chart_data(own)["charts"][0]["rows"][0]
    assert [point["y"] for point in row["points"]] == [50.0, 50.0]


def test_a_diverged_trial_is_a_cross_inside_the_frame_and_the_winner_is_ringed() -> None:
    declared = study(seeds=1)
    found = records(declared, {"ours": [1.0]})
    found[2] = record(found[2].run, "diverged")
    (chart,) = [one for one in charts(analyze(declared, found)) if one.name == "sensitivity"]
    (line,) = chart.lines
    assert [point.y for point in line.points] == [0.0, 1.0, None]
    assert line.ring is not None
    assert line.ring.key == found[1].run.key
    assert chart.y_range[0] < line.edge < 0.0


def test_profiles_are_stairs_over_the_seeds() -> None:
    """The target is the lower of both means, adam's 4; a run is 1 better at step 10 than at 20.

    So ours has 7, 7 and 3 at step 10, adam 5, 5 and a run that diverged.
    """
    declared = study(seeds=3)
    found = records(declared, {"ours": [6.0, 6.0, 2.0], "adam": [4.0, 4.0, "diverged"]})
    comparison = analyze(declared, found)
    assert comparison.target == 4.0
    assert comparison.summary("ours").times == (10.0, 10.0, math.inf)
    assert comparison.summary("adam").times == (10.0, 10.0, math.inf)
    assert comparison.summary("adam").time_to_target == 10.0
    (chart,) = [one for one in charts(comparison) if one.name == "target"]
    assert {line.x for line in chart.lines} == {(1.0, 4.0, 4.0)}
    assert [line.y for line in chart.lines] == [pytest.approx([200 / 3] * 3)] * 2


def test_a_target_of_the_preset_is_taken_and_a_pending_run_leaves_none() -> None:
    settings = Preset(steps=20, eval_every=10, trials=3, seeds=2, target=5.5)
    declared = study(settings=settings)
    found = records(declared, {"ours": [5.0, 4.0], "adam": [5.5, None]})
    comparison = analyze(declared, found)
    assert comparison.target == 5.5
    assert comparison.summary("ours").times == (10.0, math.inf)  # 5 + 1 at step 10; 4 + 1
    assert comparison.summary("ours").time_to_target == math.inf
    assert comparison.summary("adam").times == (10.0,)
    without = study(seeds=2)
    found = records(without, {"ours": [5.0, 4.0], "adam": [5.5, None]})
    assert analyze(without, found).target is None


def test_what_tuning_was_worth_is_counted() -> None:
    """Trials 0, 1, −1: best of one on average 0, of two (1 + 1 + 0) / 3, of three 1."""
    declared = study(seeds=1)
    found = records(declared, {"ours": [1.0], "adam": [1.0]})
    ours = analyze(declared, found).baseline
    assert [n for n, _ in ours.expected_best] == [1, 2, 3]
    assert [best for _, best in ours.expected_best] == pytest.approx([0.0, 2 / 3, 1.0])
    # Distances from the best: 1, 0 and 2.
    assert ours.sensitivity == pytest.approx(1.0)
    assert analyze(declared, found[:2]).baseline.expected_best == ()


def test_other_knobs_are_shown_by_name_and_their_trials_are_not_joined() -> None:
    settings = Preset(steps=20, eval_every=10, trials=3, seeds=1, search="space")
    declared = study(settings=settings)
    wide = declared.optimizers[0].model_copy(
        update={"space": declared.optimizers[0].space | {"eps": LogRange(low=1e-8, high=1e-4)}}
    )
    declared = declared.model_copy(update={"optimizers": (wide, declared.optimizers[1])})
    found = tuned(declared, "ours", [0.0, 1.0, 2.0]) + tuned(declared, "adam", [0.0, 1.0, 2.0])
    point = wide.plan(3, "space")[2]
    runs = declared.final_runs(wide, point)
    page, own = shown(declared, [*found, *(record(run, 3.0) for run in runs)])
    assert point_text(point) in page.words
    assert "3 tuning trials over its whole search space, then" in page.words
    assert "the first 3 points of a Sobol sequence" in page.words
    (chart,) = [one for one in chart_data(own)["charts"] if one["name"] == "sensitivity"]
    assert [line["joined"] for line in chart["lines"]] == [False, True]


def test_no_two_of_many_optimizers_look_alike() -> None:
    looks = {(style % len(LIGHT), dash_index(style)) for style in range(40)}
    assert len(looks) == 40


def test_the_terminal_table_fits_in_100_columns_and_takes_labels_as_text() -> None:
    declared = study(optimizers=(spec("ours", EVIL), spec("adam", "A" * 60)), seeds=2)
    comparison = analyze(declared, records(declared, {"ours": [1.0, 2.0], "adam": [0.0, 0.0]}))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal(comparison))
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "[red]" in re.sub(r"\s", "", text)
    assert "needs at least 6 seeds" in " ".join(text.split())


def test_the_terminal_table_marks_winners_at_an_end_and_means_of_survivors() -> None:
    declared, found = complete()
    others = [one for one in found if one.run.optimizer != "sgd"]
    edge = tuned(declared, "sgd", [3.0, 2.0, 1.0])
    lowest = edge[0].run.hyperparameters["lr"]
    comparison = analyze(declared, others + edge + final(declared, "sgd", lowest, [1.0] * 6))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal(comparison))
    rows = [row for row in console.export_text().splitlines() if re.match(r" +\d+ ", row)]
    marked = {row.split()[1]: ("!" in row, "*" in row) for row in rows}
    labels = [declared.optimizer(name).label for name in ("ours", "adam", "sgd")]
    assert marked == dict(zip(labels, [(False, False), (False, True), (True, False)], strict=True))


def test_writing_leaves_the_report_and_nothing_else(folder: Path, text: str) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    drawn = ("loss", "metric", "seeds", "sensitivity", "target", "tuning")
    figures = {f"figures/{name}.{kind}" for name in drawn for kind in ("png", "pdf", "svg")}
    printed = ("costs", "results", "verdicts")
    tables = {f"tables/{name}.{kind}" for name in printed for kind in ("md", "tex")}
    data = {"runs.csv", "runs.parquet", "summary.csv"}
    assert names == {"report.html"} | data | figures | tables
    assert names - {"report.html"} <= set(parsed(text)[0].every("href"))
    assert "Nothing has finished" not in text
