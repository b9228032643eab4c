"""Projections from their KKT conditions, in NumPy's long double, by bisection over all doubles.

Independent of the package: no sort, no Newton, no torch. With w > 0 and rows of points y,

    L2 ball      x = c + w (y − c) / (w + λ),        Σ (x − c)² = r²,   λ ≥ 0
    L1 ball      x = sign(y) max(|y| − τ/w, 0),      Σ |x| = r,         τ ≥ 0
    simplex      x = max(y − τ/w, 0),                Σ x = total
    hyperplane   x = y − τ n/w,                      ⟨n, x⟩ = b
    halfspace    the same where ⟨n, y⟩ > b

the left side of each equation falls in its multiplier, so 64 halvings of the ordered integers that
stand for float64 numbers leave two neighbours; a last step in long double is exact between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.longdouble]
Function = Callable[[Wide], Wide]


def wide(array: Any) -> Wide:
    return np.asarray(array, dtype=np.longdouble)


def box(y: Wide, low: float, high: float) -> Wide:
    return np.minimum(np.maximum(y, wide(low)), wide(high))


def l2_ball(y: Wide, w: Wide, radius: Any, center: Any = 0.0) -> Wide:
    d, r = y - wide(center), wide(radius)

    def excess(multiplier: Wide) -> Wide:
        return np.sum((w * d / (w + multiplier)) ** 2, -1, keepdims=True) - r**2

    low, high = bracket(excess, len(y), lowest=0.0)
    outside = np.sum(d**2, -1, keepdims=True) > r**2
    left, right = excess(low), excess(high)
    multiplier = low + (high - low) * left / np.where(outside, left - right, 1)
    return np.where(outside, wide(center) + w * d / (w + multiplier), y)


def simplex(y: Wide, w: Wide, total: Any) -> Wide:
    def excess(tau: Wide) -> Wide:
        return np.sum(np.maximum(y - tau / w, 0), -1, keepdims=True) - wide(total)

    low, high = bracket(excess, len(y))
    active = y - low / w > 0
    del high
    inverse = np.where(active, 1 / w, 0)
    tau = np.sum(np.where(active, y, 0), -1, keepdims=True) - wide(total)
    tau = tau / np.sum(inverse, -1, keepdims=True)
    return np.where(active, np.maximum(y - tau / w, 0), 0)


def l1_ball(y: Wide, w: Wide, radius: Any) -> Wide:
    outside = np.sum(np.abs(y), -1, keepdims=True) > wide(radius)
    return np.where(outside, np.sign(y) * simplex(np.abs(y), w, radius), y)


def hyperplane(y: Wide, w: Wide, normal: Any, offset: Any) -> Wide:
    n = wide(normal)
    tau = (np.sum(n * y, -1, keepdims=True) - wide(offset)) / np.sum(n * n / w, -1, keepdims=True)
    return y - tau * n / w


def halfspace(y: Wide, w: Wide, normal: Any, offset: Any) -> Wide:
    outside = np.sum(wide(normal) * y, -1, keepdims=True) > wide(offset)
    return np.where(outside, hyperplane(y, w, normal, offset), y)


def bracket(falling: Function, rows: int, lowest: float = -np.inf) -> tuple[Wide, Wide]:
    """Neighbouring doubles between which the function changes its sign; rows × 1."""
    low = np.full((rows, 1), ordinal(np.float64(lowest)))
    high = np.full((rows, 1), ordinal(np.float64(np.finfo(np.float64).max)))
    for _ in range(64):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        with np.errstate(over="ignore"):
            positive = falling(wide(double(middle))) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return wide(double(low)), wide(double(high))


def ordinal(value: np.float64) -> np.int64:
    """The place of a double among all doubles, zero at 0."""
    bits = value.view(np.int64)
    return bits if bits >= 0 else np.int64(np.iinfo(np.int64).min) - bits


def double(places: NDArray[np.int64]) -> NDArray[np.float64]:
    least = np.int64(np.iinfo(np.int64).min)
    return np.where(places >= 0, places, least - places).view(np.float64)
