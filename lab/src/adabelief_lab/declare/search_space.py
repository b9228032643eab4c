"""Where hyperparameters are searched, and the points that are tried: fixed before the first run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator
from torch.quasirandom import SobolEngine

from adabelief_lab.common.errors import LabError

Value = bool | float | str
Point = Mapping[str, Value]

# Seed of the scrambling: the same points for everybody, today and tomorrow.
SOBOL_SEED = 0


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
        return [_rounded(value) for value in values]

    def at(self, share: float) -> float:
        """The value at `share` in [0, 1] of the way, rounded to 4 digits."""
        low, high = math.log(self.low), math.log(self.high)
        return _rounded(math.exp(low + share * (high - low)))

    def __str__(self) -> str:
        """As `adabelief list` shows it."""
        return f"{self.low:g}..{self.high:g}"


class Choices(BaseModel):
    """A few values, in order; for numbers and switches alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[Value, ...]

    @model_validator(mode="after")
    def _several(self) -> Choices:
        if len(self.values) < 1 or len(set(self.values)) != len(self.values):
            msg = f"Choices needs different values, one or more, got {list(self.values)}"
            raise ValueError(msg)
        return self

    def at(self, share: float) -> Value:
        """The value at `share` in [0, 1] of the way: each has as much of it."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def __str__(self) -> str:
        """As `adabelief list` shows it."""
        return "{" + ", ".join(map(shown, self.values)) + "}"


Searched = LogRange | Choices
Space = Mapping[str, Searched]


def ladder(name: str, searched: LogRange, n: int) -> list[dict[str, Value]]:
    """`n` points of one hyperparameter at equal ratios."""
    return [{name: value} for value in searched.points(n)]


def sobol(space: Space, n: int) -> list[dict[str, Value]]:
    """The first `n` points of a scrambled Sobol sequence (Sobol 1967; Owen 1998) over the space.

    Every prefix is spread evenly, so that more trials continue fewer. Knobs are taken in the
    order of the space: optimizers whose spaces begin alike try the same values of these.
    """
    engine = SobolEngine(len(space), scramble=True, seed=SOBOL_SEED)
    return [
        {name: space[name].at(share) for name, share in zip(space, row, strict=True)}
        for row in engine.draw(n).tolist()
    ]


def grid(space: Mapping[str, Choices]) -> list[dict[str, Value]]:
    """Every combination, the last knob running fastest."""
    names = list(space)
    return [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(space[name].values for name in names))
    ]


def side(trials: int) -> int:
    """Values of each of two knobs in a square grid of that many trials.

    Raises:
        LabError: `trials` is not a square; the message names those beside it.
    """
    below = math.isqrt(trials)
    if below * below == trials:
        return below
    squares = [n * n for n in (below, below + 1)]
    msg = (
        f"a grid needs a square number of trials, n values of each of two knobs, got {trials}; "
        f"the nearest are {squares[0]} and {squares[1]}"
    )
    raise LabError(msg)


def tried(points: Sequence[Point]) -> dict[str, list[float]]:
    """Every number of which more than one value was tried, with its values in order."""
    found = {
        name: sorted({value for point in points if isinstance(value := point[name], float)})
        for name in points[0]
    }
    return {name: values for name, values in found.items() if len(values) > 1}


def edges(points: Sequence[Point], chosen: Point) -> str:
    """Which numbers of the chosen point lie at an end of what was tried: "lr high, eps low".

    A winner there is not tuned: the best may lie beyond. Switches have no ends, nor has a knob of
    which only one value was tried.
    """
    found = []
    for name, values in tried(points).items():
        if chosen[name] in (values[0], values[-1]):
            found.append(f"{name} {'low' if chosen[name] == values[0] else 'high'}")
    return ", ".join(found)


def shown(value: Value) -> str:
    """A value in a table: 0.001, 1e-08, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def point_text(point: Point) -> str:
    """A point in one line: "lr 0.001, eps 1e-08"."""
    return ", ".join(f"{name} {shown(value)}" for name, value in point.items())


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
