"""The report: one offline web page, PNG figures and CSV tables, all made from the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adabelief.lab import files
from adabelief.lab.analysis.comparison import Comparison
from adabelief.lab.report import tables
from adabelief.lab.study import Record


def write(comparison: Comparison, records: Sequence[Record], root: Path) -> Path:
    """Write `report.html`, `figures/*.png`, `runs.csv` and `summary.csv` under `root`.

    Each file is replaced as a whole. Run folders are linked as `runs/<key>/`, relative to
    `root`. Returns the path of the page.

    Raises:
        ImportError: the extra "report" is not installed.
        StorageError: a file could not be written.
    """
    # Here, so that the terminal's table works without the extra.
    from adabelief.lab.report import figures, page  # noqa: PLC0415
    from adabelief.lab.report.charts import charts  # noqa: PLC0415

    drawn = charts(comparison)
    watermark = comparison.study.settings.watermark
    for chart in drawn:
        files.replace(root / "figures" / f"{chart.name}.png", figures.png(chart, watermark))
    files.replace(root / "runs.csv", tables.runs_csv(comparison, records).encode())
    files.replace(root / "summary.csv", tables.summary_csv(comparison).encode())
    path = root / "report.html"
    files.replace(path, page.html(comparison, records, drawn).encode())
    return path
