"""Keep the report of the fair study in docs/fair: its page, tables, pictures and numbers.

python docs/fair.py FOLDER [NOTE]    # FOLDER: compare fashion-mnist --preset full --against paper
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent
KEPT = DOCS / "full"
TABLES = ("results", "verdicts", "costs")
FIGURES = ("seeds", "metric", "sensitivity")


def page(folder: Path) -> Iterator[str]:
    """Lines of docs/fair/README.md: the report's own tables and pictures."""
    study = json.loads((folder / "study.json").read_text())
    settings = study["settings"]
    yield "# A fair comparison on Fashion-MNIST"
    yield ""
    yield (
        f"All 60,000 images, {len(study['rivals'])} optimizers: for each {settings['trials']} "
        f"trials, then {settings['seeds']} fresh paired seeds, {settings['steps']:,} steps a run. "
        "The protocol is that of [comparing.md](../comparing.md). Written by docs/fair.py from the "
        "report's own files; the whole report is [report.html](report.html) (open "
        "it from a clone; links to single runs need the study's folder), all numbers are in "
        "[runs.csv](runs.csv)."
    )
    yield ""
    yield from sys.argv[2:]  # what the files do not know, such as what else the machine did
    for name in TABLES:
        yield ""
        yield (folder / "tables" / f"{name}.md").read_text().strip()
    for name in FIGURES:
        yield ""
        yield f"![{name}](figures/{name}.png)"


def main() -> None:
    """Copy the files and write the page."""
    if len(sys.argv) not in (2, 3) or not (Path(sys.argv[1]) / "report.html").exists():
        sys.exit(f"{__doc__}\nFOLDER must hold a report.html: adabelief report FOLDER")
    folder = Path(sys.argv[1])
    KEPT.mkdir(exist_ok=True)
    for name in ("report.html", "runs.csv", "runs.parquet", "summary.csv", "study.json"):
        shutil.copy(folder / name, KEPT / name)
    for name in ("figures", "tables"):
        shutil.copytree(folder / name, KEPT / name, dirs_exist_ok=True)
    (KEPT / "README.md").write_text("\n".join(page(folder)) + "\n")


if __name__ == "__main__":
    main()
