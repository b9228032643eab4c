"""docs/release.md says what its record says."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from paths import ROOT

sys.path.append(str(ROOT))
from benchmarks import release
from benchmarks.marked import filled


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return vars(release)


def test_the_page_is_written_from_the_record() -> None:
    record = json.loads((ROOT / "docs" / "release.json").read_text())
    page = (ROOT / "docs" / "release.md").read_text()
    assert filled(page, release.BEGIN, release.END, release.table(record)) == page


def test_numbers_of_the_table(benchmark: dict[str, Any]) -> None:
    names = list(benchmark["CONTENDERS"])

    def races(factor: float, peak: int) -> list[dict[str, Any]]:
        """Two races, in which contender i takes `factor` · i longer than the first."""
        one = {
            name: {
                "seconds": [1.0 + factor * i, 2.0 + 2 * factor * i],
                "peak": peak * 2**20,
                "live": (i + 1) * 2**19,
            }
            for i, name in enumerate(names)
        }
        return [one, one]

    record = {
        "machine": {"torch": "2", "processor": "slow", "threads": 3},
        "clock": "wall",
        "models": {"layers": {"as it is": races(0.5, 1200), "mapped": races(0.25, 7)}},
    }
    lines = benchmark["table"](record).splitlines()
    assert lines[0] == "torch 2, slow, 3 thread(s), wall time, memory in MiB."
    assert "(4 rounds, 2 processes each)" in lines[2]
    cells = [line.split("|")[2:-1] for line in lines[-len(names) :]]
    assert [cell.strip() for cell in cells[0]] == ["0.5", "1.00", "1,200", "1.00", "7"]
    assert [cell.strip() for cell in cells[3]] == ["2.0", "2.50", "1,200", "1.75", "7"]
