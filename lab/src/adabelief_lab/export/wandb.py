"""Weights & Biases: offline runs, for `wandb sync` when and where you like."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adabelief_lab.common.errors import needs_extra
from adabelief_lab.declare.study import RunRecord, Study
from adabelief_lab.export.description import config, group, name, points, summary


def write(study: Study, records: Sequence[RunRecord], out: Path) -> None:
    """Write offline runs to OUT/wandb; nothing is sent anywhere.

    A run's id is its key, its group the pair of seeds (or "tuning"), its job type the optimizer,
    its config the whole specification, its summary how it ended.

    Raises:
        LabError: wandb is not installed.
    """
    # Offline is offline: no reports of errors in wandb itself either.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    with needs_extra("--to wandb", "wandb", "trackers"):
        import wandb  # noqa: PLC0415, an extra
    # What this machine is and does now says nothing about a run.
    settings: Any = wandb.Settings(
        silent=True, console="off", save_code=False, disable_git=True,
        x_disable_stats=True, x_disable_meta=True, x_save_requirements=False,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    for record in records:
        run = record.run
        written = wandb.init(
            mode="offline", dir=str(out), project=f"{study.workload}-{study.preset}",
            id=run.key, name=name(run), group=group(run), job_type=run.optimizer,
            config=config(study, run), settings=settings,
        )  # fmt: skip
        for step, numbers in points(record):
            written.log(numbers, step=step)
        written.summary.update(summary(record))
        written.finish()
