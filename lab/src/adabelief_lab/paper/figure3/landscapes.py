"""The functions of Figure 3, each with where its optimizers start and why there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adabelief.reference import Array
from adabelief_lab.paper.closed_form_moments import BETAS

# x0, x1, y0, y1
View = tuple[float, float, float, float]


@dataclass(frozen=True)
class Start:
    """Where optimizers start, and the reason: the paper says nothing about it."""

    point: tuple[float, float]
    why: str


@dataclass(frozen=True)
class Landscape:
    """A function of two numbers.

    Args:
        name: in records and in landscapes.js.
        panel: of Figure 3.
        formula: for people.
        loss: of x and y, NumPy arrays or tensors of any shape.
        grad: its derivatives by x and y, of NumPy arrays; 0 at kinks, as autograd has it.
        optimum: the only minimum.
        view: where the grid of starts lies, and what the page to explore shows.
        starts: shown ones, the first in every picture.
        betas: β₁, β₂ of the panel; the momentum of SGD is β₁.
    """

    name: str
    panel: str
    formula: str
    loss: Callable[[Any, Any], Any]
    grad: Callable[[Array, Array], tuple[Array, Array]]
    optimum: tuple[float, float]
    view: View
    starts: tuple[Start, ...]
    betas: tuple[float, float] = BETAS

    @property
    def title(self) -> str:
        """Panel and formula."""
        if self.panel.startswith("("):
            return f"{self.panel} {self.formula}"
        return f"{self.formula} ({self.panel})"

    def around(self, start: tuple[float, float]) -> View:
        """A square with that start, the optimum and room about them."""
        (x, y), (best_x, best_y) = start, self.optimum
        half = 0.75 * math.hypot(x - best_x, y - best_y)
        middle_x, middle_y = (x + best_x) / 2, (y + best_y) / 2
        return middle_x - half, middle_x + half, middle_y - half, middle_y + half

    def grid(self, side: int) -> Array:
        """`side`² starts evenly over the view, in the middle of its cells; shape (side², 2)."""
        x0, x1, y0, y1 = self.view
        middles = (np.arange(side) + 0.5) / side
        x, y = np.meshgrid(x0 + (x1 - x0) * middles, y0 + (y1 - y0) * middles)
        return np.stack([x.ravel(), y.ravel()], axis=1)


# github.com/seiyab/adabelief-toy-examples-pytorch, which redraws the figure
REDRAWN = "as in a public attempt to redraw the figure (seiyab)"
STANDARD = "the standard one (Moré, Garbow & Hillstrom 1981)"
SQUARE = (-3.0, 3.0, -3.0, 3.0)


def _grad_inseparable_l1(x: Array, y: Array) -> tuple[Array, Array]:
    along, across = np.sign(x + y), np.sign(x - y) / 10
    return along + across, along - across


def _grad_inseparable_l2(x: Array, y: Array) -> tuple[Array, Array]:
    along, across = 2 * (x + y), (x - y) / 5
    return along + across, along - across


def _beale(x: Any, y: Any) -> Any:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _grad_beale(x: Array, y: Array) -> tuple[Array, Array]:
    square, cube = y * y, y * y * y
    one, two, three = 1.5 - x + x * y, 2.25 - x + x * square, 2.625 - x + x * cube
    by_x = 2 * one * (y - 1) + 2 * two * (square - 1) + 2 * three * (cube - 1)
    by_y = 2 * one * x + 4 * two * x * y + 6 * three * x * square
    return by_x, by_y


def _grad_rosenbrock(x: Array, y: Array) -> tuple[Array, Array]:
    above = y - x * x
    return -2 * (1 - x) - 400 * x * above, 200 * above


LANDSCAPES = (
    Landscape(
        "l1", "(a)", "|x| + |y|",
        lambda x, y: abs(x) + abs(y), lambda x, y: (np.sign(x), np.sign(y)),
        (0.0, 0.0), SQUARE,
        (Start((-2.5, 1e-4), "“near the x axis” (section 2.2), x " + REDRAWN),),
    ),
    Landscape(
        "l1_inseparable", "(b)", "|x + y| + |x − y|/10",
        lambda x, y: abs(x + y) + abs(x - y) / 10, _grad_inseparable_l1,
        (0.0, 0.0), SQUARE, (Start((2.5, 0.0), REDRAWN),),
    ),
    Landscape(
        "l2_inseparable", "(c)", "(x + y)² + (x − y)²/10",
        lambda x, y: (x + y) ** 2 + (x - y) ** 2 / 10, _grad_inseparable_l2,
        (0.0, 0.0), SQUARE, (Start((2.5, 0.0), REDRAWN),),
    ),
    Landscape(
        "l1_scaled_low_betas", "(d)", "|x|/10 + |y|, β₁ = β₂ = 0.3",
        lambda x, y: abs(x) / 10 + abs(y), lambda x, y: (np.sign(x) / 10, np.sign(y)),
        (0.0, 0.0), SQUARE, (Start((0.5, -1.5), REDRAWN),), (0.3, 0.3),
    ),
    Landscape(
        "l1_scaled", "videos", "|x|/10 + |y|",
        lambda x, y: abs(x) / 10 + abs(y), lambda x, y: (np.sign(x) / 10, np.sign(y)),
        (0.0, 0.0), SQUARE, (Start((0.5, -1.5), "as (d)"),),
    ),
    Landscape(
        "beale", "(e), (f)", "Beale",
        _beale, _grad_beale,
        (3.0, 0.5), (-4.5, 4.5, -4.5, 4.5),
        (Start((1.0, 1.0), STANDARD), Start((-2.5, -2.5), REDRAWN)),
    ),
    Landscape(
        "rosenbrock", "(g), (h)", "Rosenbrock",
        lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, _grad_rosenbrock,
        (1.0, 1.0), (-2.0, 2.0, -1.0, 3.0),
        (Start((-1.2, 1.0), STANDARD), Start((-4.0, -4.0), REDRAWN)),
    ),
)  # fmt: skip
