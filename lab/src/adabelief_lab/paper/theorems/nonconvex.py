"""Bounded, smooth, non-convex problems with bounded noise: what theorem 2.2 is checked on.

All of its assumptions on f hold by construction: f is between 0 and a number, ∇f is bounded and has
the Lipschitz constant L, noise is unbiased, independent and bounded. θ has the shape (seeds, d).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adabelief.reference import Array, adabelief, initial
from adabelief_lab.paper.theorems.online import DIMENSION, shirts

CHUNK = 1000  # steps whose noise is drawn at once


class Problem(ABC):
    """min f, by gradients with noise, for `seeds` runs at once."""

    name: str
    betas: tuple[float, float] = (0.9, 0.999)

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        self.random = np.random.default_rng([4, seeds])

    @abstractmethod
    def draw(self, steps: int) -> Array:
        """The noise, or the data, of the next steps; (steps, seeds, d)."""

    @abstractmethod
    def noisy(self, theta: Array, drawn: Array) -> Array:
        """A gradient whose mean is ∇f(θ)."""

    @abstractmethod
    def gradient(self, theta: Array) -> Array:
        """∇f(θ) of every seed."""

    @abstractmethod
    def bound(self) -> float:
        """H: of every ‖∇f‖ and ‖g‖."""


class Waves(Problem):
    """Σ sin² θᵢ with noise ±1 in every element."""

    name = "Σ sin² θ, symmetric noise"
    noise = ((1.0, 0.5), (-1.0, 0.5))  # (value, probability)

    def draw(self, steps: int) -> Array:
        """Noise."""
        values, probabilities = zip(*self.noise, strict=True)
        return self.random.choice(values, (steps, self.seeds, DIMENSION), p=probabilities)

    def noisy(self, theta: Array, drawn: Array) -> Array:
        """∇f + noise."""
        return self.gradient(theta) + drawn

    def gradient(self, theta: Array) -> Array:
        """Sin 2θ, with the Lipschitz constant 2."""
        return np.sin(2 * theta)

    def bound(self) -> float:
        """Of (1 + the largest noise) in every element."""
        return float(np.sqrt(DIMENSION) * (1 + max(abs(value) for value, _ in self.noise)))


class RareNoise(Waves):
    """The same with noise that is 9 in one step of ten and −1 else, and short averages.

    The rare steep gradients enter s at once and are divided by their own size, the frequent ones
    are not: what Reddi et al. 2018 have for Adam, without a period.
    """

    name = "Σ sin² θ, rare steep noise"
    betas = (0.5, 0.5)
    noise = ((9.0, 0.1), (-1.0, 0.9))


class Sigmoid(Problem):
    """The mean of (1 − σ(y x·θ))² over two classes of Fashion-MNIST, one image at a time."""

    name = "sigmoid on Fashion-MNIST"

    def __init__(self, seeds: int) -> None:
        super().__init__(seeds)
        self.rows = shirts() * 3

    def draw(self, steps: int) -> Array:
        """Y x."""
        return self.rows[self.random.integers(len(self.rows), size=(steps, self.seeds))]

    def noisy(self, theta: Array, drawn: Array) -> Array:
        """∇ of one term: −2 p (1 − p)² y x with p = σ(y x·θ)."""
        right = 1 / (1 + np.exp(-np.einsum("si,si->s", theta, drawn)))
        return -2 * (right * (1 - right) ** 2)[:, None] * drawn

    def gradient(self, theta: Array) -> Array:
        """The mean of the terms' gradients."""
        right = 1 / (1 + np.exp(-theta @ self.rows.T))
        return -2 * (right * (1 - right) ** 2) @ self.rows / len(self.rows)

    def bound(self) -> float:
        """2 max p (1 − p)² = 8/27 times the longest y x."""
        return float(8 / 27 * np.linalg.norm(self.rows, axis=1).max())


PROBLEMS: tuple[type[Problem], ...] = (Waves, Sigmoid, RareNoise)


@dataclass(frozen=True)
class Path:
    """‖∇f(θ_t)‖² at some times, (times, seeds); the largest ‖g_t‖; min s₁, which is c."""

    squares: Array
    steepest: float
    least: float


def descend(
    problem: Problem, times: Sequence[int], *, amsgrad: bool, lr: float = 0.1, eps: float = 1e-8
) -> Path:
    """Run `reference.adabelief` with α_t = α/√t and no bias corrections, from random points.

    The points are the same for all problems.
    """
    start = np.random.default_rng(5).uniform(-1.0, 1.0, (problem.seeds, DIMENSION))
    state, wanted, found, largest = initial(start), set(times), [], 0.0
    least, drawn = 0.0, np.empty(0)
    for step in range(1, max(times) + 1):
        index = (step - 1) % CHUNK
        if not index:
            drawn = problem.draw(CHUNK)
        if step in wanted:
            found.append((problem.gradient(state.param) ** 2).sum(-1))
        grad = problem.noisy(state.param, drawn[index])
        largest = max(largest, float(np.einsum("si,si->s", grad, grad).max()))
        state = adabelief(state, grad, lr / np.sqrt(step), problem.betas, eps, amsgrad=amsgrad,
                          bias_correction=False)  # fmt: skip
        if step == 1:
            least = float(state.exp_avg_var.min())
    return Path(np.stack(found), float(np.sqrt(largest)), least)
