"""What a study's folder holds, for tests that kill the processes which write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adabelief_lab.declare.study import Result
from processes import workers


def rows(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows by optimizer and phase; keys differ with the number of processes.

    Without what the belief does, which is not looked at where each process has a part of it.
    """
    found = {}
    for path in root.glob("runs/*/spec.json"):
        spec = json.loads(path.read_bytes())
        lines = (path.parent / "metrics.jsonl").read_text().splitlines()
        read = [json.loads(line) for line in lines]
        numbers = [row for row in read if row["split"] != "belief"]
        assert numbers
        for row in numbers:
            del row["split"]  # no number
        found[f"{spec['optimizer']} {spec['phase']}"] = numbers
    return found


def written(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in root.glob("runs/*/metrics.jsonl")}


def n_rows(root: Path) -> int:
    return sum(data.count(b"\n") for data in written(root).values())


def ends(root: Path) -> list[Result]:
    return [
        Result.model_validate_json(path.read_bytes()) for path in root.glob("runs/*/result.json")
    ]


def members(driver: int) -> list[int]:
    """Processes that train a run together: what a worker, which is spawned too, spawned."""
    spawned = workers(driver)
    stats = {pid: Path(f"/proc/{pid}/stat").read_text() for pid in spawned}
    return [pid for pid in spawned if int(stats[pid].rpartition(")")[2].split()[1]) in spawned]
