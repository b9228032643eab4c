"""Online convex problems with known best points: what theorem 2.1 is checked on.

Each family draws one loss for every step and seed, described by d numbers; F is the unit box or the
unit ball. θ has the shape (..., seeds, settings, d): settings of one seed see the same losses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache

import numpy as np
import torch

from adabelief.feasible import Box, L2Ball
from adabelief.reference import Array
from adabelief_lab.data import fashion_mnist

DIMENSION = 10
DIAMETER = 2.0  # D∞ of both sets
SETS: dict[str, Box | L2Ball] = {"box": Box(-1.0, 1.0), "ball": L2Ball(1.0, dim=-1)}


def project(name: str, point: Array, metric: Array | None = None) -> Array:
    """Π_F of each point (..., d), in the Euclidean metric if there is no other."""
    if name == "box":
        return np.minimum(np.maximum(point, -1.0), 1.0)  # np.clip takes twice the time
    if (np.einsum("...i,...i", point, point) <= 1).all():
        return point  # most steps stay inside, and this is quicker than to ask the ball
    weights = np.ones_like(point) if metric is None else metric
    return np.asarray(SETS[name].project(torch.from_numpy(point), torch.from_numpy(weights)))


class Family(ABC):
    """Losses of one kind, for `seeds` players at once; remembers the sums that it has drawn."""

    name: str
    bound: float  # of every |gᵢ| on the unit box, and so on the ball: G∞/2

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        self.drawn = 0

    @abstractmethod
    def draw(self, steps: int) -> Array:
        """The next losses, (steps, seeds, d)."""

    @abstractmethod
    def loss(self, theta: Array, drawn: Array) -> Array:
        """f_t(θ) over the last dimension; `drawn` broadcasts to `theta`."""

    @abstractmethod
    def gradient(self, theta: Array, drawn: Array) -> Array:
        """A subgradient, which broadcasts to `theta`."""

    @abstractmethod
    def best(self, feasible: str) -> tuple[Array, Array, Array]:
        """Of all that was drawn: θ* (seeds, d), Σ f_t(θ*) and what a better point could gain."""


class Quadratic(Family):
    """½ ‖θ − z‖², z uniform within 1 of a mean that is inside F in some coordinates only."""

    name, bound = "quadratic", 3.5

    def __init__(self, seeds: int) -> None:
        super().__init__(seeds)
        self.random = np.random.default_rng([1, seeds])
        self.mean = self.random.uniform(-1.5, 1.5, (seeds, DIMENSION))
        self.sum, self.squares = np.zeros((seeds, DIMENSION)), np.zeros(seeds)

    def draw(self, steps: int) -> Array:
        """Z of each step."""
        drawn = self.mean + self.random.uniform(-1.0, 1.0, (steps, *self.mean.shape))
        self.drawn += steps
        self.sum += drawn.sum(0)
        self.squares += np.einsum("tsi,tsi->s", drawn, drawn)
        return drawn

    def loss(self, theta: Array, drawn: Array) -> Array:
        """½ ‖θ − z‖²."""
        residual = theta - drawn
        return 0.5 * np.einsum("...i,...i", residual, residual)

    def gradient(self, theta: Array, drawn: Array) -> Array:
        """θ − z."""
        return theta - drawn

    def best(self, feasible: str) -> tuple[Array, Array, Array]:
        """The projection of the mean."""
        theta = project(feasible, self.sum / self.drawn)
        cross = np.einsum("si,si->s", theta, self.sum)
        total = 0.5 * (self.drawn * np.einsum("si,si->s", theta, theta) + self.squares) - cross
        return theta, total, np.zeros(self.seeds)


class Absolute(Family):
    """Σᵢ |θᵢ − zᵢ|, each zᵢ = ±1 by the toss of a coin.

    On F it is linear, and no algorithm has an expected regret below a multiple of √T: the best
    point knows how the coins fell.
    """

    name, bound = "absolute", 1.0

    def __init__(self, seeds: int) -> None:
        super().__init__(seeds)
        self.random = np.random.default_rng([2, seeds])
        self.sum = np.zeros((seeds, DIMENSION))

    def draw(self, steps: int) -> Array:
        """Z of each step."""
        drawn = self.random.choice([-1.0, 1.0], (steps, self.seeds, DIMENSION))
        self.drawn += steps
        self.sum += drawn.sum(0)
        return drawn

    def loss(self, theta: Array, drawn: Array) -> Array:
        """Σ |θ − z|."""
        return np.abs(theta - drawn).sum(-1)

    def gradient(self, theta: Array, drawn: Array) -> Array:
        """−z; a subgradient at θ = z too."""
        del theta
        return -drawn

    def best(self, feasible: str) -> tuple[Array, Array, Array]:
        """The point of F that is farthest along Σ z."""
        length = np.linalg.norm(self.sum, axis=-1, keepdims=True)
        theta = np.sign(self.sum) if feasible == "box" else self.sum / np.maximum(length, 1e-300)
        total = self.drawn * DIMENSION - np.einsum("si,si->s", theta, self.sum)
        return theta, total, np.zeros(self.seeds)


class Logistic(Family):
    """log(1 + exp(−y x·θ)) of one random image: shirt or T-shirt, nine components and a constant.

    Fashion-MNIST's embedded training images; no |xᵢ| is above `bound`.
    """

    name, bound = "logistic", 3.0

    def __init__(self, seeds: int) -> None:
        super().__init__(seeds)
        self.random = np.random.default_rng([3, seeds])
        self.rows = shirts() * self.bound
        self.counts = np.zeros((seeds, len(self.rows)))

    def draw(self, steps: int) -> Array:
        """Y x of each step."""
        chosen = self.random.integers(len(self.rows), size=(steps, self.seeds))
        self.drawn += steps
        for seed in range(self.seeds):
            self.counts[seed] += np.bincount(chosen[:, seed], minlength=len(self.rows))
        return self.rows[chosen]

    def loss(self, theta: Array, drawn: Array) -> Array:
        """log(1 + exp(−y x·θ))."""
        return np.logaddexp(0.0, -np.einsum("...i,...i", theta, drawn))

    def gradient(self, theta: Array, drawn: Array) -> Array:
        """−y x / (1 + exp(y x·θ))."""
        margin = np.einsum("...i,...i", theta, drawn)[..., None]
        return -drawn / (1 + np.exp(margin))

    def best(self, feasible: str) -> tuple[Array, Array, Array]:
        """By accelerated projected gradients (Beck & Teboulle 2009), restarted when they turn.

        What is left to gain is at most max over x in F of ⟨∇, θ − x⟩, since losses are convex.
        """
        share = self.counts / self.drawn
        squares = np.einsum("sn,ni,nj->sij", share, self.rows, self.rows)
        step = 4 / np.linalg.norm(squares, 2, axis=(1, 2)).max()
        theta = ahead = np.zeros((self.seeds, DIMENSION))
        momentum, gap = 1.0, np.full(self.seeds, np.inf)
        for count in range(20_000):
            after = project(feasible, ahead - step * self._mean_gradient(ahead, share))
            if np.vdot(ahead - after, after - theta) > 0:
                momentum = 1.0
            later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = after + (momentum - 1) / later * (after - theta)
            theta, momentum = after, later
            if count % 100 == 99:
                gradient = self._mean_gradient(theta, share)
                longest = (np.abs(gradient).sum(-1) if feasible == "box"
                           else np.linalg.norm(gradient, axis=-1))  # fmt: skip
                gap = np.einsum("si,si->s", gradient, theta) + longest
                if (gap * self.drawn < 1e-3).all():
                    break
        losses = np.logaddexp(0.0, -theta @ self.rows.T)
        return theta, np.einsum("sn,sn->s", self.counts, losses), gap * self.drawn

    def _mean_gradient(self, theta: Array, share: Array) -> Array:
        weight = share / (1 + np.exp(theta @ self.rows.T))
        return -weight @ self.rows


@cache
def shirts() -> Array:
    """Y x of 2,000 images, (2000, d), with y = ±1 for shirts and T-shirts and max |xᵢ| = 1.

    Components are principal ones of 7 × 7 blocks of pixels.
    """
    data = fashion_mnist.embedded()
    labels = data.train_labels
    chosen = np.isin(labels, [fashion_mnist.CLASSES.index(c) for c in ("T-shirt/top", "Shirt")])
    blocks = data.train_images[chosen].reshape(-1, 7, 4, 7, 4) / 255.0
    pixels = blocks.mean((2, 4)).reshape(-1, 49)
    centred = pixels - pixels.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    components = centred @ vectors[:, ::-1][:, : DIMENSION - 1]
    scaled = components / np.abs(components).max(0)
    sign = np.where(labels[chosen] == fashion_mnist.CLASSES.index("Shirt"), 1.0, -1.0)
    return sign[:, None] * np.column_stack([scaled, np.ones(len(scaled))])


FAMILIES: tuple[type[Family], ...] = (Quadratic, Absolute, Logistic)
