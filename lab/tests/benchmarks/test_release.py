"""The tables of gradient release, by values worked by hand."""

from __future__ import annotations

from typing import Any

from benchmarks import release


def test_numbers_of_the_table() -> None:
    names = list(release.CANDIDATES)

    def repetitions(factor: float, peak: int) -> list[dict[str, Any]]:
        """Two repetitions, in which candidate i takes `factor` · i longer than the first."""
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
        "models": {"layers": {"as it is": repetitions(0.5, 1200), "mapped": repetitions(0.25, 7)}},
    }
    lines = release.table(record).splitlines()
    assert lines[0] == "torch 2, slow, 3 threads, wall time, memory in MiB."
    assert "(4 rounds, 2 processes each)" in lines[2]
    cells = [line.split("|")[2:-1] for line in lines[-len(names) :]]
    assert [cell.strip() for cell in cells[0]] == ["0.5", "1.00", "1,200", "1.00", "7"]
    assert [cell.strip() for cell in cells[3]] == ["2.0", "2.50", "1,200", "1.75", "7"]
