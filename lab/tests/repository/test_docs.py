"""Every code block of the documentation runs and prints what it says; what pages name exists."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from paths import ROOT

PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "lab" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "results").rglob("*.md")),
]  # fmt: skip
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


def there(name: str) -> bool:
    """Whether a dotted name is a module of ours, or an attribute of one."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        try:
            for attribute in parts[k:]:
                found = getattr(found, attribute)
        except AttributeError:
            return False
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_modules_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    if page.name == "CHANGELOG.md":  # it also tells what things were called
        text = text.partition("### Changed")[0]
    names = set(re.findall(r"(?<![\w/.-])adabelief(?:_lab)?(?:\.[A-Za-z_]\w*)+(?![\w/])", text))
    assert [name for name in sorted(names) if not there(name)] == []
    files = re.findall(
        r"(?<![\w/.])((?:src|lab|tests|benchmarks|examples|scripts|results|docs)/[\w./-]*\w)", text
    )
    assert [file for file in sorted(set(files)) if not (ROOT / file).exists()] == []


def test_make_targets_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)$",
                                                      page.read_text(), re.MULTILINE)
        for name in name if name
    }  # fmt: skip
    assert named
    assert named <= targets
