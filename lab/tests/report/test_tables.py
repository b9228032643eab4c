"""Tables for papers, notes and programs: the page's numbers, and labels that stay text."""

from __future__ import annotations

import csv
import io
import re
from itertools import pairwise

import pytest
from markdown_it import MarkdownIt
from pyarrow import parquet

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.declare.study import RunRecord, Study
from adabelief_lab.report.charts import charts
from adabelief_lab.report.page import html
from adabelief_lab.report.runs import runs_csv, runs_parquet
from adabelief_lab.report.table_formats import latex, markdown
from adabelief_lab.report.text_tables import Printed, printed
from studies import record, records, spec, study

EVIL = r"a_b*c* [x](y) | <b> `t` $z$ \frac{1}{2} 5% #1 & ~ ^ ± − ε"


def two(label: str = "Adam") -> tuple[Study, list[RunRecord]]:
    declared = study(optimizers=(spec("ours"), spec("adam", label)), seeds=6, title=label)
    finals = {"ours": [5.0, 6.0, 7.0, 8.0, 9.0, 10.0], "adam": [4.0, 4.1, 4.2, 4.3, 4.4, 4.5]}
    return declared, records(declared, {name: list(ends) for name, ends in finals.items()})


def tables(label: str = "Adam") -> dict[str, Printed]:
    return {table.name: table for table in printed(analyze(*two(label)))}


def plain(cell: str) -> str:
    """A cell of LaTeX as text again."""
    signs = {r"$\pm$": "±", "$-$": "−", r"$\epsilon$": "ε", "--": "–"}
    commands = {
        "textbackslash": "\\",
        "textasciicircum": "^",
        "textasciitilde": "~",
        "textless": "<",
        "textgreater": ">",
        "textbar": "|",
    }
    bold = re.fullmatch(r"\\textbf\{(.*)\}", cell)
    parts = re.split(r"(\$\\?[a-z−-]+\$|--|\\[a-z]+\{\}|\\.)", bold[1] if bold else cell)
    return "".join(
        signs.get(part) or commands.get(part.strip("\\{}")) or part.removeprefix("\\")
        for part in parts
    )


@pytest.mark.parametrize("name", ["results", "verdicts", "costs"])
def test_markdown_reads_back_as_the_same_cells(name: str) -> None:
    table = tables(EVIL)[name]
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(table))
    cells = [
        "".join(child.content for child in token.children or [])
        for before, token in pairwise(tokens)
        if before.type in {"th_open", "td_open"}
    ]
    assert cells == [*table.head, *(cell for row in table.rows for cell in row)]
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}


@pytest.mark.parametrize("name", ["results", "verdicts", "costs"])
def test_latex_reads_back_as_the_same_cells(name: str) -> None:
    table = tables(EVIL)[name]
    text = latex(table)
    rows = re.findall(r"^(.*) \\\\$", text, flags=re.MULTILINE)
    cells = [[plain(cell) for cell in re.split(r"(?<!\\) & ", row)] for row in rows]
    assert cells == [list(table.head), *map(list, table.rows)]
    columns = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert [len(spec) for spec in columns] == [len(table.head)]
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}\n") == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_the_best_is_marked_and_nothing_else() -> None:
    results = tables()["results"]
    assert results.rows[0][1:3] == ("Ours", "7.5 ± 2.0")
    assert re.findall(r"\*\*(.*?)\*\*", markdown(results)) == ["7.5 ± 2.0"]
    assert re.findall(r"\\textbf\{(.*?)\}", latex(results)) == [r"7.5 $\pm$ 2.0"]
    assert "**" not in markdown(tables()["verdicts"]) + markdown(tables()["costs"])


def test_the_numbers_are_the_page_s() -> None:
    declared, found = two()
    comparison = analyze(declared, found)
    page = html(comparison, found, charts(comparison)).split("<h2", maxsplit=4)
    for table, section in zip(printed(comparison), page[1:], strict=False):
        cells = [
            " ".join(re.sub(r"<[^>]*>", " ", cell).split())
            for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", section, flags=re.DOTALL)
        ]
        for row in table.rows:
            for cell in row:  # flags and notes may stand behind it
                assert any(f"{other} ".startswith(f"{cell} ") for other in cells), (cell, cells)


def test_a_watermark_and_missing_runs_are_in_every_caption() -> None:
    declared, found = two()
    settings = declared.settings.model_copy(update={"watermark": "Reduced data"})
    declared = declared.model_copy(update={"settings": settings})
    for table in printed(analyze(declared, found[:-1])):
        assert table.caption.endswith("17 of 18 runs. Reduced data.")
        for text in (markdown(table), latex(table)):
            assert "17 of 18 runs. Reduced data." in text


def test_parquet_holds_what_the_csv_holds() -> None:
    declared, found = two(EVIL)
    found[3] = record(found[3].run, "diverged")
    found[-1] = RunRecord(found[-1].run, None)
    comparison = analyze(declared, found)
    table = parquet.read_table(io.BytesIO(runs_parquet(comparison, found)))
    lines = list(csv.DictReader(io.StringIO(runs_csv(comparison, found))))
    shown = [
        {name: "" if value is None else str(value) for name, value in line.items()}
        for line in table.to_pylist()
    ]
    assert shown == lines
    kinds = {name: str(table.schema.field(name).type) for name in ("lr", "step", "last_score")}
    assert kinds == {"lr": "double", "step": "int64", "last_score": "double"}
