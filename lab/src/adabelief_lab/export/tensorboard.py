"""TensorBoard: one folder of events a run, its specification in the HParams tab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adabelief_lab.common.errors import needs_extra
from adabelief_lab.declare.study import RunRecord, Study
from adabelief_lab.export.description import config, group, name, points, summary


def write(study: Study, records: Sequence[RunRecord], out: Path) -> None:
    """Write event files to OUT/tuning/RUN and OUT/seed-N/RUN.

    Scalars are "train/loss", "valid/METRIC" and "test/METRIC" over steps. The HParams tab has
    the hyperparameters, and how the run ended; "run" in the Text tab is the whole specification.
    Times of events are those of the export: runs do not note when they evaluated.

    Raises:
        LabError: TensorBoard is not installed.
    """
    with needs_extra("--to tensorboard", "tensorboard", "trackers"):
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415, an extra
        from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415
    for record in records:
        run = record.run
        writer: Any = SummaryWriter(str(out / group(run) / name(run)))
        for step, numbers in points(record):
            for tag, value in numbers.items():
                writer.add_scalar(tag, value, step)
        whole = config(study, run)
        writer.add_text("run", f"```json\n{json.dumps(whole, indent=1)}\n```")
        ended = summary(record)
        told = {
            "optimizer": run.optimizer,
            "group": group(run),
            "status": str(ended["status"]),
            **{key: _plain(value) for key, value in run.hyperparameters.items()},
        }
        numbers = {
            f"end/{key}": float(value)
            for key, value in ended.items()
            if isinstance(value, int | float)
        }
        for content in hparams(told, numbers):
            writer.file_writer.add_summary(content)
        for tag, value in numbers.items():
            writer.add_scalar(tag, value, run.steps)
        writer.close()


def _plain(value: Any) -> Any:
    """HParams knows numbers, words and truth values."""
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)
