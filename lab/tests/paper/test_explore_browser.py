"""The page to explore figure 3, in a real browser: its numbers, its controls, its manners."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from adabelief.reference import Array, adabelief, initial
from adabelief_lab.paper.figure3 import trajectories
from adabelief_lab.paper.figure3.explore import page as made
from adabelief_lab.paper.figure3.landscapes import LANDSCAPES, Landscape

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
STEPS = 1000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explore") / "explore.html"
    path.write_bytes(made().files["html"])
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        assert CHROMIUM
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page with what it said and what it asked for."""

    def __init__(self, browser: Browser, file: Path, width: int, scheme: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture(scope="module")
def desk(browser: Browser, file: Path) -> Opened:
    return Opened(browser, file, 1200, "light")


@pytest.fixture(scope="module")
def phone(browser: Browser, file: Path) -> Opened:
    return Opened(browser, file, 360, "dark")


@pytest.fixture
def page(desk: Opened) -> Page:
    """As after opening."""
    desk.page.select_option("#landscape", "l1")
    desk.page.click("#reset")
    desk.page.fill("#time", "1000")
    return desk.page


def cases(landscape: Landscape) -> list[tuple[Array, dict[str, float]]]:
    """The paper's settings from the shown starts, then random ones."""
    generator = np.random.default_rng(LANDSCAPES.index(landscape))
    beta1, beta2 = landscape.betas
    paper = {"lr": 1e-3, "beta1": beta1, "beta2": beta2, "eps": 1e-8, "momentum": beta1}
    found = [(np.array(start.point), paper) for start in landscape.starts]
    x0, x1, y0, y1 = landscape.view
    for _ in range(3):
        settings = {
            "lr": 10 ** generator.uniform(-4, -2.5),
            "beta1": generator.uniform(0.3, 0.95),
            "beta2": 1 - 10 ** generator.uniform(-3, -1),
            "eps": 10 ** generator.uniform(-12, -6),
            "momentum": generator.uniform(0.0, 0.95),
        }
        found.append((generator.uniform((x0, y0), (x1, y1)), settings))
    return found


def path_in_page(
    page: Page, name: str, landscape: Landscape, start: Array, settings: dict[str, float]
) -> Array:
    """Of shape (steps + 1, 2)."""
    script = "([name, landscape, start, steps, settings]) => " \
             "[...trajectory(name, landscape, start, steps, settings)].map(String)"  # fmt: skip
    given = [name, landscape.name, start.tolist(), STEPS, settings]
    texts = page.evaluate(script, given)
    return np.array([float(text.replace("Infinity", "inf")) for text in texts]).reshape(-1, 2)


def path_of_reference(landscape: Landscape, start: Array, settings: dict[str, float]) -> Array:
    state = initial(start)
    path = [state.param]
    betas = (settings["beta1"], settings["beta2"])
    for _ in range(STEPS):
        grad = np.array(landscape.grad(*state.param))
        state = adabelief(state, grad, settings["lr"], betas, settings["eps"])
        path.append(state.param)
    return np.array(path)


def path_of_torch(
    name: str, landscape: Landscape, start: Array, settings: dict[str, float]
) -> Array:
    param = torch.nn.Parameter(torch.tensor(start))
    first = settings["momentum" if name.startswith("SGD") else "beta1"]
    betas = (first, settings["beta2"])
    optimizer = trajectories.optimizer(name, param, betas, settings["lr"], settings["eps"])
    path = [start]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(STEPS):
            param.grad = torch.tensor(np.array(landscape.grad(*path[-1])))
            optimizer.step()
            path.append(param.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda each: each.name)
def test_paths_are_those_of_the_reference_and_of_torch(page: Page, landscape: Landscape) -> None:
    for start, settings in cases(landscape):
        found = path_in_page(page, "AdaBelief", landscape, start, settings)
        expected = path_of_reference(landscape, start, settings)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=f"{settings}")
        for name in ("Adam", "EAdam", "SGD", "SGD (EMA)"):
            found = path_in_page(page, name, landscape, start, settings)
            expected = path_of_torch(name, landscape, start, settings)
            np.testing.assert_allclose(
                found, expected, rtol=1e-9, atol=1e-9, err_msg=f"{name} {settings}"
            )


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda each: each.name)
def test_losses_are_those_of_the_figures(page: Page, landscape: Landscape) -> None:
    points = landscape.grid(5)
    script = "([name, points]) => points.map(([x, y]) => LANDSCAPES[name].loss(x, y))"
    found = page.evaluate(script, [landscape.name, points.tolist()])
    np.testing.assert_allclose(found, landscape.loss(*points.T), rtol=1e-13)


def test_the_five_steps_of_algorithm_2_are_marked_in_order() -> None:
    text = (
        resources.files("adabelief_lab.paper.figure3").joinpath("optimizers.js").read_text("utf-8")
    )
    marks = re.findall(r"^ *// Alg\. 2 \((\d)\) (\w+)", text, flags=re.MULTILINE)
    five = ["gradient", "moment", "belief", "corrections", "update"]
    assert marks == [(str(k), word) for k, word in enumerate(five, start=1)]


def cells(page: Page, name: str) -> list[str]:
    return page.locator(f"tr[data-optimizer='{name}'] td").all_inner_texts()


def test_arrivals_are_those_of_the_exhibit(page: Page) -> None:
    landscape = LANDSCAPES[3]  # the quickest
    page.select_option("#landscape", landscape.name)
    page.fill("#steps", "5000")
    start = np.array([landscape.starts[0].point])
    (ran,) = trajectories.run([landscape], [start], np.array([0, 5000]), (0.01,))
    for i, name in enumerate(trajectories.OPTIMIZERS):
        assert cells(page, name)[0] == f"{ran.stays[0.01][i, 0]:,.0f}"


def test_a_click_on_the_map_is_the_start(page: Page) -> None:
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    assert float(page.input_value("#x")) == pytest.approx(-1.5, abs=0.02)
    assert float(page.input_value("#y")) == pytest.approx(1.5, abs=0.02)
    page.fill("#time", "0")
    assert float(cells(page, "Adam")[2].replace("−", "-")) == float(page.input_value("#x"))


def test_time_is_scrubbed_by_keyboard(page: Page) -> None:
    page.focus("#time")
    page.keyboard.press("Home")
    assert page.inner_text("#step") == "step 0"
    assert cells(page, "SGD")[2:] == ["−2.500", "1.0e−4"]
    page.keyboard.press("End")
    assert page.inner_text("#step") == "step 20,000"
    assert page.get_attribute("#time", "aria-valuetext") == "step 20,000"
    assert "AdaBelief at" in (page.get_attribute("#map", "aria-label") or "")


def test_play_and_pause(page: Page) -> None:
    page.focus("#play")
    page.keyboard.press("Enter")
    assert page.inner_text("#play") == "Pause"
    page.wait_for_function("Number(time.value) > 20 && Number(time.value) < 900")
    page.keyboard.press("Space")
    assert page.inner_text("#play") == "Play"
    stopped = page.input_value("#time")
    page.wait_for_timeout(200)
    assert page.input_value("#time") == stopped
    page.fill("#time", "990")
    page.click("#play")
    page.wait_for_function("play.textContent === 'Play'")
    assert page.inner_text("#step") == "step 20,000", "it ends by itself"


def pixels(page: Page) -> str:
    return str(page.evaluate("map.toDataURL()"))


def test_optimizers_are_switched_off_and_on(page: Page) -> None:
    page.fill("#time", "600")
    before = pixels(page)
    page.get_by_label("Adam", exact=True).uncheck()
    assert pixels(page) != before
    assert "Adam at" not in re.sub("EAdam at", "", page.get_attribute("#map", "aria-label") or "")
    page.get_by_label("Adam", exact=True).check()
    assert pixels(page) == before


def test_settings_act_and_bad_ones_are_named(page: Page) -> None:
    before = cells(page, "AdaBelief")
    page.fill("#lr", "0.003")
    assert cells(page, "AdaBelief") != before
    known = cells(page, "AdaBelief")
    page.fill("#beta2", "1.2")
    assert page.inner_text("#error") == "β₂ must be in [0, 1), got 1.2"
    assert page.get_attribute("#beta2", "aria-invalid") == "true"
    assert cells(page, "AdaBelief") == known
    page.fill("#beta2", "0.9")
    assert page.inner_text("#error") == ""
    page.select_option("#landscape", "rosenbrock")
    page.fill("#x", "-4")
    page.fill("#y", "-4")
    assert cells(page, "SGD") == ["diverged"] * 4


@pytest.mark.parametrize("name", ["desk", "phone"])
def test_manners(request: pytest.FixtureRequest, name: str, file: Path) -> None:
    """After all that was done to it: silent, offline, as wide as the screen, readable."""
    opened: Opened = request.getfixturevalue(name)
    for landscape in LANDSCAPES:
        opened.page.select_option("#landscape", landscape.name)
    assert opened.said == []
    assert opened.asked == [file.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= (
        1200 if name == "desk" else 360
    )
    found = Axe().run(opened.page)
    assert found.response["passes"]
    assert found.response["violations"] == [], found.generate_report()


def test_the_map_is_dark_on_a_dark_screen(desk: Opened, phone: Opened) -> None:
    script = "[...map.getContext('2d').getImageData(3, 3, 1, 1).data.slice(0, 3)]"
    assert min(desk.page.evaluate(script)) > 128 > max(phone.page.evaluate(script))
