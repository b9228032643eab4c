"""What the belief does during a run, as rows of its metrics beside losses and evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from adabelief import AdaBelief
from adabelief.diagnostics.inspection import measure_groups
from adabelief.diagnostics.logger import FEW, scalars
from adabelief.diagnostics.samples import over_all

SPLIT = "belief"


def belief_rows(optimizers: Mapping[str, Optimizer], step: int) -> list[dict[str, Any]]:
    """A row for each AdaBelief among the optimizers, none for others.

    Args:
        optimizers: by the name of the module that they train; after a step, with its gradients.
        step: optimizer steps done.
    """
    rows = []
    for name, optimizer in optimizers.items():
        if not isinstance(optimizer, AdaBelief):
            continue
        samples = over_all(optimizer, FEW)
        if samples:
            numbers = scalars(measure_groups(samples)).items()
            # JSON has no NaN and no infinity: None stands for them.
            finite = {f"{name}/{key}": x if math.isfinite(x) else None for key, x in numbers}
            rows.append({"step": step, "split": SPLIT, **finite})
    return rows
