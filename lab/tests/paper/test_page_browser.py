"""The exhibits' page in a real browser: offline, accessible, as wide as a phone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from adabelief_lab.paper.reproduce import PAGE, write_page
from paths import RESULTS

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

PAPER = RESULTS / "paper"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the records that are kept in results/paper."""
    root = tmp_path_factory.mktemp("paper")
    shutil.copytree(PAPER, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns(PAGE))
    return write_page(root)


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_the_page_of_exhibits(page: Path, width: int, scheme: Literal["light", "dark"]) -> None:
    with sync_playwright() as playwright:
        assert CHROMIUM
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(page.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        broken = "images => images.filter(image => !image.naturalWidth).length"
        assert opened.eval_on_selector_all("img", broken) == 0
        assert opened.locator("img").count() > 8
        found = Axe().run(opened).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        browser.close()
