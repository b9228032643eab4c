"""Learning-rate schedules as pure functions of the step: there is no state to lose."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Schedule(BaseModel):
    """The learning rate over a run, as a factor of the tuned one.

    Args:
        kind: "constant"; "cosine", half a cosine to 0 (Loshchilov & Hutter 2017); "linear", to 0;
            "step", times `gamma` at each of `milestones`; "rsqrt", √(warmup / step) after the
            warm-up (Vaswani et al. 2017, with its peak as 1).
        warmup: steps of a linear rise before it: 1/warmup, 2/warmup, ... 1.
        milestones: of "step", as shares of the run in (0, 1), rising.
        gamma: of "step", the factor at each milestone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["constant", "cosine", "linear", "step", "rsqrt"]
    warmup: int = Field(default=0, ge=0)
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    gamma: float = Field(default=0.1, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> Schedule:
        if (self.kind == "step") != bool(self.milestones):
            msg = f'milestones belong to "step", got {self.kind!r} with {list(self.milestones)}'
            raise ValueError(msg)
        if list(self.milestones) != sorted(set(self.milestones)):
            msg = f"milestones must rise, got {list(self.milestones)}"
            raise ValueError(msg)
        if self.kind == "rsqrt" and self.warmup < 1:
            msg = f'"rsqrt" needs a warmup of 1 or more, got {self.warmup}'
            raise ValueError(msg)
        return self

    def factor(self, index: int, steps: int) -> float:
        """At step `index` = 0, 1, ... of a run of `steps`; the fall begins after the warm-up."""
        if index < self.warmup:
            return (index + 1) / self.warmup
        if self.kind == "rsqrt":
            return math.sqrt(self.warmup / (index + 1))
        if self.kind == "step":
            return self.gamma ** sum(index >= share * steps for share in self.milestones)
        done = (index - self.warmup) / max(1, steps - self.warmup)
        if self.kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        return 1 - done if self.kind == "linear" else 1.0

    def __str__(self) -> str:
        """As the report says it, after "with"."""
        text = {
            "constant": "a constant learning rate",
            "cosine": "the learning rate annealed to zero on a cosine over the run",
            "linear": "the learning rate falling to zero on a line over the run",
            "step": f"the learning rate times {self.gamma:g} after "
            + ", ".join(f"{share:.0%}" for share in self.milestones)
            + " of the run",
            "rsqrt": "the learning rate falling as one over the root of the step",
        }[self.kind]
        return f"{text}, after a linear warm-up of {self.warmup} steps" if self.warmup else text


def _named(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


# A kind alone is written as its name: schedule="cosine".
AnySchedule = Annotated[Schedule, BeforeValidator(_named)]
