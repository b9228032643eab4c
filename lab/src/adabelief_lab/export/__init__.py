"""A study's finished runs for other tools, one file for each: they read records, and make none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import records_of
from adabelief_lab.export import tensorboard, wandb
from adabelief_lab.store.study_folder import Store

# By the word of the command line: writes records into a folder.
EXPORTERS: Mapping[str, Callable[..., None]] = {
    "tensorboard": tensorboard.write,
    "wandb": wandb.write,
}


def export(store: Store, tool: str, out: Path) -> int:
    """Write every finished run of a study for a tool; return how many there were.

    Args:
        store: the study's folder; it is only read.
        tool: one of `EXPORTERS`.
        out: folder that is made; it must not exist, or be empty.

    Raises:
        LabError: no such tool, it is not installed, the folder is not empty, no run is finished.
    """
    if tool not in EXPORTERS:
        msg = f"--to must be one of {', '.join(EXPORTERS)}, got {tool!r}"
        raise LabError(msg)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        msg = f"{out} is not empty: runs would be in it twice; name another folder with --out"
        raise LabError(msg)
    study = store.study()
    finished = [record for record in records_of(study, store) if record.result is not None]
    if not finished:
        msg = f"{store.root} has no finished run yet"
        raise LabError(msg)
    EXPORTERS[tool](study, finished, out)
    return len(finished)
