"""Copy the report of a finished study of all of Fashion-MNIST to results/fashion-mnist-full.

    python scripts/fashion_mnist_full.py FOLDER [NOTE]

This command makes the study:

    adabelief compare fashion-mnist --preset full --against paper --out FOLDER

NOTE is a line for the page about facts that the files do not have.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

KEPT = Path(__file__).parents[1] / "results" / "fashion-mnist-full"
TABLES = ("results", "verdicts", "costs")
FIGURES = ("seeds", "metric", "sensitivity")


def page(folder: Path) -> Iterator[str]:
    """Lines of the README.md beside the report: its own tables and pictures."""
    study = json.loads((folder / "study.json").read_text())
    settings = study["settings"]
    yield "# A fair comparison on Fashion-MNIST"
    yield ""
    yield (
        f"The study uses all 60,000 images and {len(study['optimizers'])} optimizers. Each "
        f"optimizer gets {settings['trials']} tuning trials, then {settings['seeds']} fresh paired "
        f"seeds; each run takes {settings['steps']:,} steps. The protocol is described in "
        "[comparing.md](../../docs/comparing.md). `scripts/fashion_mnist_full.py` writes this page "
        "from the report's own files. The whole report is [report.html](report.html): open it from "
        "a clone; its links to single runs need the study's folder. [runs.csv](runs.csv) has all "
        "numbers."
    )
    yield ""
    yield from sys.argv[2:]
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
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in ("report.html", "runs.csv", "runs.parquet", "summary.csv", "study.json"):
        shutil.copy(folder / name, KEPT / name)
    for name in ("figures", "tables"):
        shutil.copytree(folder / name, KEPT / name, dirs_exist_ok=True)
    (KEPT / "README.md").write_text("\n".join(page(folder)) + "\n")


if __name__ == "__main__":
    main()
