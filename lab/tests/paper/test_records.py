"""adabelief reproduce: records that are kept, made anew, damaged; the page and the Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.common.errors import LabError
from adabelief_lab.paper import catalogue, record, reproduce, summary
from adabelief_lab.paper.exhibit import Claim, Drawing, Exhibit, Findings, Table
from paths import DOCS, RESULTS

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000a49444154789c6360"
    "000000020001e221bc330000000049454e44ae426082"
)  # fmt: skip


class Counted:
    """An exhibit that counts how often it is measured."""

    def __init__(self, *, interrupt: bool = False) -> None:
        self.times, self.threads, self.interrupt = 0, 0, interrupt
        self.exhibit = Exhibit("fig2", "A <title>", "section 1", self.measure, self.draw)

    def measure(self) -> Findings:
        self.times += 1
        self.threads = torch.get_num_threads()
        if self.interrupt:
            raise KeyboardInterrupt
        table = Table("Numbers", ("what", "value"), (("a | b", 1 / 3), ("c", 2)), "A note.")
        claim = Claim("eq. 1", "x < y & y > 0", "x = 1", "does not hold")
        return Findings({"value": 1 / 3}, [table], [claim])

    def draw(self, data: Mapping[str, Any]) -> Iterator[Drawing]:
        assert data["value"] == 1 / 3
        yield Drawing("picture", "What is <seen>", {"png": PIXEL, "pdf": b"%PDF"})


def test_a_record_of_the_same_code_is_kept(tmp_path: Path, monkeypatch: Any) -> None:
    counted = Counted()
    for _ in range(2):
        reproduce.reproduce([counted.exhibit], tmp_path)
    assert counted.times == 1
    reproduce.reproduce([counted.exhibit], tmp_path, again=True)
    assert counted.times == 2
    monkeypatch.setattr(record, "code", lambda _: "another")
    reproduce.reproduce([counted.exhibit], tmp_path)
    assert counted.times == 3


def test_what_is_read_is_what_was_found(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    counted = Counted()
    made = record.make(counted.exhibit, tmp_path)
    assert record.read_record(tmp_path) == made
    assert made.findings.data == {"value": 1 / 3}
    assert made.environment["torch"] == torch.__version__
    assert (tmp_path / "picture.png").read_bytes() == PIXEL
    assert counted.threads == 1
    assert torch.get_num_threads() == threads


def test_interrupted_it_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    first, second = Counted(), Counted(interrupt=True)
    other = Exhibit("eq5", "Another", "section 2", second.measure, second.draw)
    with pytest.raises(KeyboardInterrupt):
        reproduce.reproduce([first.exhibit, other], tmp_path)
    second.interrupt = False
    reproduce.reproduce([first.exhibit, other], tmp_path)
    assert (first.times, second.times) == (1, 2)
    assert [each.exhibit for each in reproduce.records(tmp_path)] == ["fig2", "eq5"]


@pytest.mark.parametrize("content", ["{", "[]", '{"format":99}', '{"format":1,"exhibit":"fig2"}'])
def test_a_damaged_record_is_an_error_that_says_what_to_do(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "fig2"
    folder.mkdir()
    (folder / record.NAME).write_text(content)
    with pytest.raises(LabError, match="--again makes it anew"):
        reproduce.reproduce([Counted().exhibit], tmp_path)
    reproduce.reproduce([Counted().exhibit], tmp_path, again=True)
    assert record.read_record(folder) is not None


def test_a_record_with_a_table_that_does_not_fit_is_damaged(tmp_path: Path) -> None:
    record.make(Counted().exhibit, tmp_path)
    path = tmp_path / record.NAME
    path.write_text(path.read_text().replace('"head":["what","value"]', '"head":["what"]'))
    with pytest.raises(LabError, match=r"must have 1 cells.*--again makes it anew"):
        record.read_record(tmp_path)


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    bad = Exhibit("fig2", "t", "s", lambda: Findings({"x": float("nan")}), lambda _: iter(()))
    with pytest.raises(ValueError, match="not JSON compliant"):
        record.make(bad, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_table_must_fit_its_head() -> None:
    with pytest.raises(ValueError, match=r"'Numbers' must have 2 cells"):
        Table("Numbers", ("a", "b"), ((1,),))
    with pytest.raises(ValueError, match=r"every column of 'Numbers' must have a head"):
        Table("Numbers", ("", "b"), ((1, 2),))


def test_the_page_escapes_and_needs_no_network(tmp_path: Path) -> None:
    path = reproduce.reproduce([Counted().exhibit], tmp_path)
    text = path.read_text("utf-8")
    assert "A &lt;title&gt;" in text
    assert "What is &lt;seen&gt;" in text
    assert "x &lt; y &amp; y &gt; 0" in text
    assert "0.3333" in text
    assert "data:image/png;base64," in text
    linked = re.findall(r'(?:href|src)="([^"#][^"]*)"', text)
    for link in linked:
        assert link.startswith("data:") or (tmp_path / link).is_file(), link
    assert {"fig2/picture.pdf", "fig2/record.json"} <= set(linked)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    reproduce.reproduce([Counted().exhibit], tmp_path)
    (tmp_path / "fig2" / "picture.png").unlink()
    with pytest.raises(LabError, match=r"picture\.png cannot be read"):
        reproduce.write_page(tmp_path)


def test_markdown_has_claims_pictures_and_tables(tmp_path: Path) -> None:
    reproduce.reproduce([Counted().exhibit], tmp_path)
    text = summary.markdown(reproduce.records(tmp_path), "paper")
    assert "| [eq. 1](#fig2) | x < y & y > 0 | x = 1 | **does not hold** |" in text
    assert "![What is <seen>](paper/fig2/picture.png)" in text
    assert "| a \\| b | 0.3333 |" in text
    assert "| c | 2 |" in text


def test_a_drawing_of_another_exhibit_is_linked_where_that_exhibit_is(tmp_path: Path) -> None:
    def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
        del data
        yield Drawing("films", "Figure 2 has a film.", {}, exhibit="fig2")

    other = Exhibit("fig1", "Another", "section 2", Findings, draw)
    page = reproduce.reproduce([other], tmp_path)
    assert "Figure 2 has a film." in page.read_text("utf-8")
    assert 'href="#fig2"' not in page.read_text("utf-8")
    assert "\nFigure 2 has a film.\n" in summary.markdown(reproduce.records(tmp_path), "paper")
    page = reproduce.reproduce([Counted().exhibit], tmp_path)
    # One link leads to each section from the list of exhibits.
    assert page.read_text("utf-8").count('href="#fig2"') == 2
    text = summary.markdown(reproduce.records(tmp_path), "paper")
    assert "\n[Figure 2 has a film.](#fig2)\n" in text
    assert sorted(path.name for path in (tmp_path / "fig1").iterdir()) == [record.NAME]


def test_exhibits_are_chosen_once_and_in_the_papers_order() -> None:
    analytical = list(catalogue.EXHIBITS)
    assert [each.name for each in catalogue.chosen(["fig2", "analytical", "fig1"])] == analytical
    names = [each.name for each in catalogue.chosen(["vision", "fig2"])]
    assert names == ["fig2", "fig4", "table2", "detection"]
    assert [each.name for each in catalogue.chosen(["eq5", "fig1"])] == ["fig1", "eq5"]
    known = "analytical, vision, language, gan, fig1"
    with pytest.raises(LabError, match=rf"must be one of {known}, .*, got 'fig9'"):
        catalogue.chosen(["fig9"])


def test_the_command_lists_refuses_and_makes(tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["reproduce", *arguments])

    listed = json.loads(run("--json").stdout)
    assert [each["exhibit"] for each in listed] == list(catalogue.NAMES)
    refused = run("fig9", "--out", str(tmp_path))
    assert refused.exit_code == 1
    assert "got 'fig9'" in " ".join(refused.output.split())
    made = json.loads(run("fig2", "--out", str(tmp_path), "--json").stdout)
    assert [each["exhibit"] for each in made] == ["fig2"]
    assert made[0]["claims"]
    assert (tmp_path / "index.html").is_file()


def test_the_paper_page_is_written_from_its_records() -> None:
    found = reproduce.records(RESULTS / "paper")
    assert {each.exhibit for each in found} >= set(catalogue.EXHIBITS)
    page = (DOCS / "paper.md").read_text("utf-8")
    assert summary.markdown(found, "../results/paper") == page
    shown = re.findall(r"\]\((\.\./results/paper/[^)]*)\)", page)
    assert shown
    for link in shown:
        assert (DOCS / link).exists(), link
