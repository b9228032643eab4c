"""The report: one offline web page, figures and tables, all made from the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.common import atomic_files
from adabelief_lab.declare.study import RunRecord
from adabelief_lab.report import table_formats, tables, text_tables
from adabelief_lab.report.chart import Chart


def write(comparison: Comparison, records: Sequence[RunRecord], root: Path) -> Path:
    """Write `report.html`, and what `beside` makes, under `root`.

    Each file is replaced as a whole. Run folders are linked as `runs/<key>/`, relative to
    `root`. Returns the path of the page.

    Raises:
        StorageError: a file could not be written.
    """
    # Here: plotly and matplotlib take a second to import.
    from adabelief_lab.report import page  # noqa: PLC0415
    from adabelief_lab.report.charts import charts  # noqa: PLC0415

    drawn = charts(comparison)
    for name, content in beside(comparison, records, drawn):
        atomic_files.replace(root / name, content)
    path = root / "report.html"
    atomic_files.replace(path, page.html(comparison, records, drawn).encode())
    return path


def beside(
    comparison: Comparison, records: Sequence[RunRecord], charts: Sequence[Chart]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files that the page links.

    `figures/<chart>.png`, `.pdf` and `.svg`, `tables/<table>.md` and `.tex`, `runs.csv`,
    `runs.parquet` and `summary.csv`.
    """
    from adabelief_lab.report import figures, runs  # noqa: PLC0415

    yield "runs.csv", runs.runs_csv(comparison, records).encode()
    yield "runs.parquet", runs.runs_parquet(comparison, records)
    yield "summary.csv", tables.summary_csv(comparison).encode()
    for table in text_tables.printed(comparison):
        yield f"tables/{table.name}.md", table_formats.markdown(table).encode()
        yield f"tables/{table.name}.tex", table_formats.latex(table).encode()
    for chart in charts:
        for kind, content in figures.files(chart, comparison.study.settings.watermark):
            yield f"figures/{chart.name}.{kind}", content
