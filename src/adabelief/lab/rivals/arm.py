"""A rival with the settings that somebody published for it."""

from __future__ import annotations

from typing import Any

from adabelief.lab.rivals.resolve import RIVALS
from adabelief.lab.rivals.rival import Rival, Wrapping
from adabelief.lab.schedule import AnySchedule

FILES = "names of the curves in the authors' repository"
CONTROL = "ours, a control"


def arm(
    base: str,
    lr: float,
    source: str,
    *,
    name: str = "",
    label: str = "",
    note: str | None = None,
    schedule: AnySchedule | None = None,
    wrappers: tuple[Wrapping, ...] = (),
    **settings: Any,
) -> Rival:
    """A rival of the catalogue with fixed settings."""
    rival = RIVALS[base]
    return rival.model_copy(
        update={
            "name": name or base,
            "label": label or rival.label,
            "defaults": {**rival.defaults, **settings},
            "published": {"lr": lr},
            "paper": {},
            "schedule": schedule,
            "wrappers": wrappers,
            "source": source,
            "note": rival.note if note is None else note,
        }
    )


def l2(weight_decay: float) -> Wrapping:
    """Decay as a term of the loss, for an optimizer that has none of its own."""
    return Wrapping(
        name="l2",
        label="L2",
        optimizer="adabelief.lab.optimizers.l2:L2",
        arguments={"weight_decay": weight_decay},
        source=FILES,
    )
