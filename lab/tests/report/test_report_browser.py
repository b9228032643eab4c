"""The report in a real browser: offline, sorted by mouse and keyboard, on desk and phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.declare.search_space import LogRange
from adabelief_lab.declare.study import Run, RunRecord
from adabelief_lab.declare.workload import Preset
from adabelief_lab.report.charts import charts
from adabelief_lab.report.page import html
from adabelief_lab.report.palette import DARK, LIGHT
from studies import End, record, spec, study, tuned

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

Scheme = Literal["light", "dark"]
NAMES = ("ours", "adam", "sgd")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids with maps, diverged trials and a diverged final run, a failed one, long labels."""
    wide = {"eps": LogRange(low=1e-8, high=1e-4)}
    specs = [spec(name, f"{name.title()} with a long label") for name in NAMES]
    specs = [one.model_copy(update={"space": one.space | wide}) for one in specs]
    settings = Preset(
        steps=20, eval_every=10, trials=9, seeds=6, search="grid", watermark="Reduced data"
    )
    declared = study(NAMES, optimizers=tuple(specs), settings=settings, title="A toy")
    trials: list[End] = [0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, "diverged", "diverged"]
    finals: dict[str, list[End]] = {
        "ours": [7.0, 8.0, 9.0, 10.0, 11.0, 12.0],
        "adam": [5.0, 4.0, 4.0, 4.0, 4.0, "diverged"],
        "sgd": [1.0, 1.0, 1.0, 1.0, 1.0, "failed"],
    }
    found: list[RunRecord] = []
    for each in declared.optimizers:
        found += tuned(declared, each.name, trials)
        runs: list[Run] = declared.final_runs(each, declared.points(each)[4])
        found += [record(run, end) for run, end in zip(runs, finals[each.name], strict=True)]
    comparison = analyze(declared, found)
    root = tmp_path_factory.mktemp("browser")
    for one in found:
        folder = root / "runs" / one.run.key
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(one.run.model_dump_json())
    path = root / "report.html"
    path.write_text(html(comparison, found, charts(comparison)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        assert CHROMIUM
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page with what it said and what it asked for. Opening takes a second: tests share it."""

    def __init__(self, browser: Browser, report: Path, width: int, scheme: Scheme) -> None:
        self.width = width
        self.page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(report.as_uri())
        self.page.wait_for_function(
            "[...document.querySelectorAll('.chart')].every(box => box.querySelector('.main-svg'))"
        )

    def style(self, selector: str, name: str) -> str:
        script = "(element, name) => getComputedStyle(element).getPropertyValue(name)"
        return str(self.page.eval_on_selector(selector, script, name))


@pytest.fixture(scope="module")
def desk(browser: Browser, report: Path) -> Opened:
    return Opened(browser, report, 1200, "light")


@pytest.fixture(scope="module")
def phone(browser: Browser, report: Path) -> Opened:
    return Opened(browser, report, 360, "dark")


@pytest.fixture(scope="module", params=["desk", "phone"])
def opened(request: pytest.FixtureRequest) -> Opened:
    return request.getfixturevalue(request.param)


def column(page: Page, table: str, index: int) -> list[str]:
    script = "(rows, index) => rows.map(row => row.cells[index].innerText.trim())"
    return list(page.eval_on_selector_all(f"{table} tbody tr:not(.group)", script, index))


RESULTS = "[aria-labelledby=results] table"
RUNS = "[aria-labelledby=all-runs] table"


def test_nothing_is_asked_for_and_nothing_goes_wrong(opened: Opened, report: Path) -> None:
    assert opened.asked == [report.as_uri()]
    assert opened.said == []


def test_the_page_is_as_wide_as_the_screen(opened: Opened) -> None:
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width == opened.width


def test_every_chart_is_drawn_and_said_in_words(opened: Opened) -> None:
    drawn = {}
    for box in opened.page.locator(".chart").all():
        drawn[box.get_attribute("id")] = box.locator(".main-svg path").count()
        assert box.get_attribute("role") == "img"
        for label in ("Ours with a long label", "Adam with a long label"):
            assert label in (box.get_attribute("aria-label") or "")
    names = ("seeds", "metric", "loss", "target", "sensitivity", "maps", "tuning")
    assert list(drawn) == [f"chart-{name}" for name in names]
    assert min(drawn.values()) > 5, drawn


def test_axe_finds_nothing(opened: Opened) -> None:
    """Contrast, names, landmarks, keyboard; a chart is one image, and its parts are not read."""
    found = Axe().run(opened.page, context={"exclude": [".main-svg"]})
    assert found.response["passes"]
    assert found.response["violations"] == [], found.generate_report()


def test_maps_have_their_cells_their_hatches_and_their_winners(desk: Opened) -> None:
    count = "(box, what) => box.querySelectorAll(what).length"
    found = {
        what: desk.page.eval_on_selector("#chart-maps", count, what)
        for what in (".heatmap-label text", ".bars .point path", ".shapelayer path")
    }
    assert found == {
        ".heatmap-label text": 3 * 7,
        ".bars .point path": 3 * 2,
        ".shapelayer path": 3,
    }
    fills = desk.page.eval_on_selector_all(
        "#chart-maps .bars .point path", "paths => paths.map(path => path.style.fill)"
    )
    assert all("url(" in fill for fill in fills), "hatched by a pattern"


def test_a_table_is_sorted_by_click(desk: Opened) -> None:
    before = column(desk.page, RESULTS, 1)
    assert before[0] == "Ours with a long label"
    head = desk.page.get_by_role("columnheader", name="Test score").first
    for way, expected in (("ascending", [2, 1, 0]), ("descending", [0, 1, 2])):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == way
        assert column(desk.page, RESULTS, 1) == [
            before[before.index(f"{NAMES[i].title()} with a long label")] for i in expected
        ]
    sorted_heads = desk.page.eval_on_selector_all(f"{RESULTS} [aria-sort]", "all => all.length")
    assert sorted_heads == 1


def test_runs_are_sorted_within_their_optimizer_by_keyboard(desk: Opened) -> None:
    desk.page.locator(f"{RUNS} th", has_text="Status").get_by_role("button").focus()
    desk.page.keyboard.press("Tab")
    assert desk.style(f"{RUNS} :focus-visible", "outline-style") == "solid"
    for keyboard, sign in (("Enter", 1), ("Space", -1)):
        desk.page.keyboard.press(keyboard)
        values = column(desk.page, RUNS, 5)
        assert len(values) == 3 * 15
        for start in (0, 15, 30):
            group = values[start : start + 15]
            known = [float(value.replace("−", "-")) for value in group if value != "–"]
            assert known == sorted(known, reverse=sign < 0)
            assert set(group[len(known) :]) <= {"–"}, "what is not known comes last"
    groups = desk.page.eval_on_selector_all(
        f"{RUNS} tbody", "all => all.map(body => body.rows[0].className)"
    )
    assert groups == ["group"] * 3


def test_the_keyboard_reaches_the_results_first(desk: Opened) -> None:
    desk.page.evaluate("window.scrollTo(0, 0)")
    desk.page.mouse.click(5, 5)  # from the top, whatever had the focus
    desk.page.keyboard.press("Tab")
    assert desk.page.locator(":focus").inner_text() == "Skip to the results"
    box = desk.page.locator(":focus").bounding_box()
    assert box is not None
    assert box["y"] >= 0, "it is on the screen while it has the focus"
    desk.page.keyboard.press("Enter")
    assert desk.page.url.endswith("#results")
    desk.page.keyboard.press("Tab")
    assert desk.page.locator(":focus").get_attribute("aria-labelledby") == "results"


def test_the_theme_follows_the_system_and_paper_is_white(desk: Opened) -> None:
    looks = {}
    for name, scheme, media, palette in (
        ("light", "light", "screen", LIGHT),
        ("dark", "dark", "screen", DARK),
        ("printed", "dark", "print", LIGHT),
    ):
        desk.page.emulate_media(color_scheme=scheme, media=media)  # type: ignore[arg-type]
        red, green, blue = bytes.fromhex(palette[0].removeprefix("#"))
        desk.page.wait_for_function(  # the charts are drawn anew
            "colour => getComputedStyle(document.querySelector('#chart-tuning .js-line')).stroke"
            " === colour",
            arg=f"rgb({red}, {green}, {blue})",
        )
        looks[name] = (desk.style("body", "background-color"), desk.style("body", "color"))
    desk.page.emulate_media(color_scheme="light", media="screen")
    assert looks["printed"] == looks["light"]
    assert all(a != b for a, b in zip(looks["light"], looks["dark"], strict=True))
    assert desk.said == []


def test_a_click_on_a_chart_finds_the_run_and_its_files(desk: Opened, report: Path) -> None:
    point = desk.page.locator("#chart-seeds .points path").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    desk.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    desk.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    desk.page.wait_for_function("location.hash.startsWith('#run-')")
    row = desk.page.locator("tr:target")
    key = desk.page.url.rpartition("#run-")[2]
    assert row.locator(".key").inner_text() == key
    row.get_by_role("link", name=f"spec of run {key}").click()
    assert desk.page.url == (report.parent / "runs" / key / "spec.json").as_uri()
    assert Run.model_validate_json(desk.page.inner_text("body")).key == key
    desk.page.go_back()
