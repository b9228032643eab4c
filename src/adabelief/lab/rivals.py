"""The optimizers that are compared: factory, defaults, search space and the source of each number."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor
from torch.optim import Optimizer


class LogRange(BaseModel):
    """A range searched on a logarithmic scale, both ends included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> LogRange:
        if not 0.0 < self.low < self.high < float("inf"):
            msg = f"a LogRange needs 0 < low < high < inf, got low={self.low}, high={self.high}"
            raise ValueError(msg)
        return self

    def points(self, n: int) -> list[float]:
        """`n` values at equal ratios, rounded to 4 digits; the geometric middle for n = 1."""
        if n == 1:
            values = np.asarray([np.sqrt(self.low * self.high)])
        else:
            values = np.geomspace(self.low, self.high, n)
        return [float(f"{value:.4g}") for value in values]


class Rival(BaseModel):
    """One optimizer of a comparison.

    Args:
        name: name on the command line.
        label: name in tables and figures.
        optimizer: import path "package.module:Class".
        defaults: keyword arguments that are not searched.
        space: keyword arguments that are searched; "lr" is always among them.
        source: where the defaults and the range come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    optimizer: str
    defaults: dict[str, Any]
    space: dict[str, LogRange]
    source: str

    @model_validator(mode="after")
    def _searches_lr(self) -> Rival:
        if "lr" not in self.space:
            msg = f"rival {self.name!r} must search lr; its space has {sorted(self.space)}"
            raise ValueError(msg)
        return self

    def plan(self, trials: int) -> list[dict[str, float]]:
        """`trials` points of the space, the same for everybody who asks."""
        (name, searched), *more = self.space.items()
        if more:
            msg = f"rival {self.name!r}: only one searched hyperparameter is supported so far"
            raise ValueError(msg)
        return [{name: value} for value in searched.points(trials)]
