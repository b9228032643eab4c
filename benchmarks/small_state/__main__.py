"""Does training with small state reach the loss of float32 state? Three workloads on real data.

    python -m benchmarks.small_state [--workers 2] [--folder adabelief-out/small-state]
    python -m benchmarks.small_state --preset smoke --record FILE.json    # only shows that it runs

The learning rate is tuned for float32 state, on validation data and a seed of its own; then each
format and a control known to be bad (controls.py) train with it on the same eight pairs of seeds
(weights, order of the data). Metric: loss on test data at the end. What counts as alike was fixed
before the runs (verdict.py). The error of single updates is measured along one trajectory of
float32 state (updates.py). Stopped at any moment, the same command goes on where it was; remove
the folder to begin anew. Some 25 minutes of one processor. Writes
results/benchmarks/small_state.json and the tables of docs/small_state.md.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from benchmarks import DOCS, RECORDS
from benchmarks.small_state import page, study, updates

from adabelief_lab.bench.harness import Benchmark


def measure(given: Namespace) -> dict[str, Any]:
    """All runs, and the errors of updates."""
    folder = given.folder or Path("adabelief-out/small-state")
    return {
        "workloads": {
            name: study.conduct(name, given.preset, folder, given.workers, print)
            for name in study.WORKLOADS
        },
        "updates": updates.measure() if given.preset == "study" else updates.measure(4, 2),
    }


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "small_state.json",
    DOCS / "small_state.md",
    {"training": page.training, "updates": page.updates},
    measure,
    {"preset": "study", "workers": 2, "folder": None},
)

if __name__ == "__main__":
    BENCHMARK.command()
