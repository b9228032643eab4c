"""Every code block of the documentation runs, every example prints what it says, links exist."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path) -> list[str]:
    found = re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_examples_print_what_the_page_says(page: Path) -> None:
    examples = "\n".join(code for code in blocks(page) if ">>>" in code)
    test = doctest.DocTestParser().get_doctest(examples, {}, page.name, str(page), 0)
    said: list[str] = []
    outcome = doctest.DocTestRunner().run(test, out=said.append)
    assert outcome.failed == 0, "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_runs(page: Path) -> None:
    for code in blocks(page):
        if ">>>" not in code:
            exec(compile(code, str(page), "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [target for target in targets if "://" not in target
               and not (page.parent / target).exists()]  # fmt: skip
    assert not missing


def test_make_targets_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)$",
                                                      page.read_text(), re.MULTILINE)
        for name in name if name
    }  # fmt: skip
    assert named
    assert named <= targets


def compatibility() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "compatibility.py"))


def test_the_compatibility_matrix_has_every_feature_and_every_defect_and_all_pass() -> None:
    module, page = compatibility(), (ROOT / "docs" / "compatibility.md").read_text()
    features = [name for section in module["FEATURES"].values() for name in section]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if "|" in line]
    assert [name for name in features if name not in rows] == []
    assert [number for number in module["DEFECTS"] if str(number) not in rows] == []
    assert sorted(module["DEFECTS"]) == list(range(1, 27))
    assert "✗" not in page
    assert "| skipped |" not in page


def test_a_failing_or_missing_test_shows_in_the_compatibility_matrix() -> None:
    module = compatibility()
    record = [
        {"id": "test_x.py::test_a[loop]", "path": "loop", "outcome": "passed"},
        {"id": "test_x.py::test_a[foreach]", "path": "foreach", "outcome": "failed"},
        {"id": "test_x.py::test_a[both]", "path": "foreach", "outcome": "passed"},
        {"id": "test_x.py::test_a[fused]", "path": "fused", "outcome": "passed"},
        {"id": "test_x.py::test_b", "path": "default", "outcome": "skipped"},
    ]
    assert module["row"]("it", record, ["test_x.py"]) == "| it | ✓ 1 | ✗ 1 of 2 | ✓ 1 | skipped |"
    with pytest.raises(SystemExit, match=r"it: no outcome of test_y\.py in the record"):
        module["row"]("it", record, ["test_y.py"])
