"""What every tool is told of a run beside its curves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from adabelief_lab.declare.study import FINAL_INIT_SEED, Run, RunRecord, Study
from adabelief_lab.run.picture_rows import SPLIT as PICTURES


def group(run: Run) -> str:
    """Runs that are compared with each other: all trials, or one pair of seeds."""
    return "tuning" if run.phase == "tune" else f"seed-{run.init_seed - FINAL_INIT_SEED}"


def name(run: Run) -> str:
    """The optimizer and the beginning of the run's key, which names its folder."""
    return f"{run.optimizer}-{run.key[:8]}"


def config(study: Study, run: Run) -> dict[str, Any]:
    """The run's whole specification, in types of JSON."""
    return {**run.model_dump(mode="json"), "key": run.key, "primary": study.primary}


def summary(record: RunRecord) -> dict[str, Any]:
    """How the run ended; what was not finite is left out."""
    if record.result is None:
        return {}
    ended = record.result.model_dump(mode="json", exclude={"last", "environment"})
    last = {name: value for name, value in record.result.last.items() if value is not None}
    return {**ended, **last}


def points(record: RunRecord) -> Iterator[tuple[int, dict[str, float]]]:
    """Steps with their numbers as "train/loss", "test/accuracy"; what is not finite is NaN."""
    for row in record.rows:
        if row["split"] == PICTURES:
            continue
        numbers = {
            f"{row['split']}/{name}": math.nan if value is None else float(value)
            for name, value in row.items()
            if name not in ("step", "split")
        }
        yield int(row["step"]), numbers
