"""Does training with small state reach the loss of float32 state? Three workloads on real data.

    python -m benchmarks.small_state [--workers 2] [--out FOLDER]
    python -m benchmarks.small_state --page    # only writes the page anew, from the record

The learning rate is tuned for float32 state, on validation data and a seed of its own; then each
format and a control known to be bad (controls.py) train with it on the same eight pairs of seeds
(weights, order of the data). Metric: loss on test data at the end. What counts as alike was fixed
before the runs (verdict.py). The error of single updates is measured along one trajectory of
float32 state (updates.py). Stopped at any moment, the same command goes on where it was; remove
the folder to begin anew. Some 25 minutes of one processor. Writes docs/small_state.json and the
tables in docs/small_state.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.small_state import page, study, updates

DOCS = Path(__file__).parents[2] / "docs"
RECORD, PAGE = DOCS / "small_state.json", DOCS / "small_state.md"


def main() -> None:
    """Run, unless only the page is wanted, and write record and page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("adabelief-out/small-state"))
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    if not given.page:
        record = {
            "workloads": {
                name: study.conduct(name, "study", given.out, given.workers, print)
                for name in study.WORKLOADS
            },
            "updates": updates.measure(),
        }
        RECORD.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    record = json.loads(RECORD.read_text())
    PAGE.write_text(page.filled(PAGE.read_text(), record))
    print(page.tables(record))


if __name__ == "__main__":
    main()
