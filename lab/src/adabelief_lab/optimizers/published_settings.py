"""An optimizer with the settings that somebody published for it."""

from __future__ import annotations

from typing import Any

from adabelief_lab.declare.lr_schedule import AnySchedule
from adabelief_lab.declare.optimizer_spec import OptimizerSpec, WrapperSpec
from adabelief_lab.optimizers.resolve import OPTIMIZERS

FILES = "names of the curves in the authors' repository"
CONTROL = "ours, a control"


def published(
    base: str,
    lr: float,
    source: str,
    *,
    name: str = "",
    label: str = "",
    note: str | None = None,
    schedule: AnySchedule | None = None,
    wrappers: tuple[WrapperSpec, ...] = (),
    **settings: Any,
) -> OptimizerSpec:
    """An optimizer of the catalogue with fixed settings."""
    spec = OPTIMIZERS[base]
    return spec.model_copy(
        update={
            "name": name or base,
            "label": label or spec.label,
            "defaults": {**spec.defaults, **settings},
            "published": {"lr": lr},
            "paper": {},
            "schedule": schedule,
            "wrappers": wrappers,
            "source": source,
            "note": spec.note if note is None else note,
        }
    )


def l2(weight_decay: float) -> WrapperSpec:
    """Decay as a term of the loss, for an optimizer that has none of its own."""
    return WrapperSpec(
        name="l2",
        label="L2",
        implementation="l2",
        arguments={"weight_decay": weight_decay},
        source=FILES,
    )
