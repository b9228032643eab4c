"""The declaration of an optimizer: its class, its settings, its search space, its sources."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.lr_schedule import AnySchedule
from adabelief_lab.declare.search_space import (
    Choices,
    LogRange,
    Point,
    Value,
    grid,
    ladder,
    side,
    sobol,
)

# How a preset tunes: the learning rate alone; the optimizer's whole space, or a square grid of lr
# and one more knob, with as many trials for everybody; the grid that Zhuang et al. 2020 describe,
# whose size differs from optimizer to optimizer; or nothing: every optimizer runs with its
# published settings.
Search = Literal["lr", "space", "grid", "paper", "published"]

# The knob beside lr in a grid is the first of these that an optimizer searches: eps decides how
# adaptive an optimizer is (Choi et al. 2019, arXiv:1910.05446).
_BESIDE_LR = ("eps", "weight_decay")

# Searched under a name of its own, given to the optimizer inside `betas`.
_BETAS = {"beta1": 0, "beta2": 1}


class WrapperSpec(BaseModel):
    """An optimizer around the optimizer: `implementation(inner, **arguments)`.

    Args:
        name: before the optimizer's name on the command line, as in "lookahead+adam".
        label: before the optimizer's label in tables and figures.
        implementation: an id of `IMPLEMENTATIONS`, or an import path "package.module:Class".
        arguments: its keyword arguments.
        source: where they come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    implementation: str
    arguments: dict[str, Any]
    source: str


class OptimizerSpec(BaseModel):
    """One optimizer of a comparison.

    Args:
        name: its id, on the command line and in the keys of runs; it never changes.
        label: name in tables and figures.
        implementation: an id of `IMPLEMENTATIONS`; or, of a user's own class, its import path
            "package.module:Class".
        defaults: keyword arguments where they are not searched.
        space: all that can be searched; "lr" is always among it.
        paper: the grid of Zhuang et al. 2020, section 3; empty if they did not have this optimizer.
        published: what somebody ran on this very workload, completing `defaults`; empty if nobody.
        schedule: the learning rate over the run, where that somebody had one of their own; the
            preset's if None.
        wrappers: optimizers around it, the outermost first.
        source: where the defaults and the ranges come from.
        note: where what is run differs from the optimizer's own paper, or AdaBelief's code from its
            text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    implementation: str
    defaults: dict[str, Any]
    space: dict[str, LogRange | Choices]
    paper: dict[str, Choices] = {}
    published: dict[str, Value] = {}
    schedule: AnySchedule | None = None
    wrappers: tuple[WrapperSpec, ...] = ()
    source: str
    note: str = ""

    @model_validator(mode="after")
    def _searches_lr(self) -> OptimizerSpec:
        if not isinstance(self.space.get("lr"), LogRange):
            msg = f"optimizer {self.name!r} must search lr; its space has {sorted(self.space)}"
            raise ValueError(msg)
        return self

    def plan(self, trials: int, search: Search = "lr") -> list[dict[str, Value]]:
        """The points that are tried, the same for everybody who asks.

        Args:
            trials: how many; the paper's grid has as many as it has.
            search: what is searched. An optimizer that the paper does not have searches its space
                with `trials` points. In a "grid" one that searches eps has √trials values of lr
                and of eps, one that searches weight_decay but not eps of lr and of that, and any
                other `trials` values of lr.

        Raises:
            LabError: `trials` is not a square, for a grid; or nothing is published.
        """
        if search == "published":
            if not self.published:
                msg = f"optimizer {self.name!r} has no published settings for this workload"
                raise LabError(msg)
            return [self.published]
        if search == "paper" and self.paper:
            return grid(self.paper)
        ranges = {name: knob for name, knob in self.space.items() if isinstance(knob, LogRange)}
        beside = next((name for name in _BESIDE_LR if name in ranges), None)
        if search == "grid" and beside:
            n = side(trials)
            return grid(
                {name: Choices(values=tuple(ranges[name].points(n))) for name in ("lr", beside)}
            )
        if search in {"lr", "grid"} or len(self.space) == 1:
            return ladder("lr", ranges["lr"], trials)
        return sobol(self.space, trials)

    def arguments(self, point: Point) -> dict[str, Any]:
        """The optimizer's keyword arguments at a point."""
        found: dict[str, Any] = {**self.defaults}
        for name, value in point.items():
            if name in _BETAS:
                betas = list(found["betas"])
                betas[_BETAS[name]] = value
                found["betas"] = betas
            else:
                found[name] = value
        return found
