"""Equation 5: which way Adam and AdaBelief go when the gradient hardly varies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from adabelief.reference import Array, algorithm2
from adabelief_lab.paper.drawing import COLORS, LINES, figure, look, saved
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict, Drawing, Exhibit, Findings, Table

MEAN = np.array([1.0, 0.1])  # E g: 39° away from its sign, (1, 1)
# Standard deviation of the noise in each coordinate, times σ.
SHAPES = {"equal": np.array([1.0, 1.0]), "unequal": np.array([0.1, 1.0])}
SIGMAS = tuple(float(sigma) for sigma in 10.0 ** np.arange(-8, 1.01, 0.5))
STEPS, LAST, REPEATS = 10_000, 500, 16
BETAS = (0.9, 0.999)
EPSILONS = (1e-8, 1e-16)  # the paper's, and what the authors' package has had since 0.1.0
ALIGNED = 1.0  # degrees that count as the same direction
LOOKS: Mapping[str, Any] = {"gradient": {}, "sign": {"lw": 1, "marker": "o", "ms": 3}}
QUIET = 1e-2  # σ up to here is "low variance": a hundredth of the larger gradient


def measure() -> Findings:
    """Angles of the updates to the gradient and to its sign, in degrees, as σ goes to 0."""
    rng = np.random.default_rng(0)
    angles: dict[str, dict[str, Any]] = {}
    factors: dict[str, list[float]] = {}
    for eps, (shape, spread) in product(EPSILONS, SHAPES.items()):
        found = _angles(eps, spread, rng)
        angles[f"{shape} {eps:g}"] = {
            name: {"gradient": own[0].tolist(), "sign": own[1].tolist()}
            for name, own in found.items()
        }
        factors[f"{shape} {eps:g}"] = found["AdaBelief"][2].tolist()
    data = {"sigmas": list(SIGMAS), "angles": angles, "factors": factors}
    return Findings(data, _tables(data), claims(data))


def _angles(eps: float, spread: Array, rng: Any) -> dict[str, tuple[Array, Array, Array]]:
    """For each σ: mean angles to E g and to its sign, and the ratio of the factors, y over x."""
    beta1, beta2 = BETAS
    noise = np.array(SIGMAS)[:, None, None] * spread
    shape = (len(SIGMAS), REPEATS, 2)
    m, s, v = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    sums = {name: [np.zeros(len(SIGMAS)) for _ in range(3)] for name in ("Adam", "AdaBelief")}
    for step in range(1, STEPS + 1):
        grad = MEAN + noise * rng.standard_normal(shape)
        _, m, s = algorithm2(np.zeros(shape), grad, m, s, step, 0.0, beta1, beta2, eps)
        v = beta2 * v + (1 - beta2) * grad**2  # Kingma & Ba 2015, Algorithm 1
        if step > STEPS - LAST:
            bias1, bias2 = 1 - beta1**step, 1 - beta2**step
            for name, second in (("Adam", v), ("AdaBelief", s)):
                denominator = np.sqrt(second / bias2) + eps
                update = m / bias1 / denominator
                values = (
                    angle(update, MEAN),
                    angle(update, np.sign(MEAN)),
                    denominator[..., 0] / denominator[..., 1],
                )
                for i, value in enumerate(values):
                    sums[name][i] += value.mean(axis=1) / LAST
    return {name: (own[0], own[1], own[2]) for name, own in sums.items()}


def angle(a: Array, b: Array) -> Array:
    """Degrees between the vectors in the last dimension, exact also where they are small."""
    unit_a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    unit_b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    apart = np.linalg.norm(unit_a - unit_b, axis=-1)
    together = np.linalg.norm(unit_a + unit_b, axis=-1)
    return np.degrees(2 * np.arctan2(apart, together))


def _tables(data: Mapping[str, Any]) -> list[Table]:
    tables = []
    for key, own in data["angles"].items():
        shape, eps = key.split()
        rows = tuple(
            (f"{sigma:.0e}", *(own[name][to][i] for name in ("Adam", "AdaBelief")
                               for to in ("gradient", "sign")))
            for i, sigma in enumerate(data["sigmas"])
            if i % 2 == 0
        )  # fmt: skip
        tables.append(
            Table(
                f"Degrees between update and E g = {tuple(MEAN.tolist())}, {shape} variance, "
                f"ε = {eps}",
                ("σ", "Adam, gradient", "Adam, sign", "AdaBelief, gradient", "AdaBelief, sign"),
                rows,
                f"Noise of standard deviation σ times {tuple(SHAPES[shape].tolist())}. Means over "
                f"{REPEATS} repeats and the last {LAST} of {STEPS:,} steps.",
            )
        )
    return tables


def claims(data: Mapping[str, Any]) -> list[Claim]:
    """Equation 5 and the two sentences below it."""
    low = [i for i, sigma in enumerate(data["sigmas"]) if sigma <= QUIET]
    paper = f"{EPSILONS[0]:g}"
    adam = max(data["angles"][f"equal {paper}"]["Adam"]["sign"][i] for i in low)
    belief = {
        f"{eps:g}": [data["angles"][f"equal {eps:g}"]["AdaBelief"]["gradient"][i] for i in low]
        for eps in EPSILONS
    }
    worst = {eps: max(own) for eps, own in belief.items()}
    told = [f"with ε = {eps} at most {own:.2f}° away for σ ≤ {QUIET:g}"
            for eps, own in worst.items()]  # fmt: skip
    # Where neither ε nor the memory of the first steps is in the way.
    clear = data["sigmas"].index(QUIET)
    ratio = data["factors"][f"unequal {EPSILONS[1]:g}"][clear]
    quiet = data["factors"][f"unequal {EPSILONS[1]:g}"][0]
    return [
        Claim(
            "section 2.2, equation 5",
            "when the gradient has low variance, Adam's update is close to sign descent",
            f"at most {adam:.2f}° from the sign for σ ≤ {QUIET:g}",
            "holds" if adam < ALIGNED else "does not hold",
        ),
        Claim(
            "section 2.2, below equation 5",
            "when all coordinates have the same variance, AdaBelief's update has the direction of "
            "the gradient",
            "; ".join(told) + f" (after {STEPS:,} steps). Where the noise is smaller than what s "
            "still remembers of the first steps, when m was 0 and the residual was the gradient, "
            "s is proportional to g² as v is, unless ε is larger",
            direction_verdict(worst),
        ),
        Claim(
            "section 2.2, below equation 5",
            "when the variance is not uniform, AdaBelief takes a small step where it is large",
            f"a ten times larger σ in y makes the factor on m there {ratio:.2f} times that in x "
            f"at σ = {QUIET:g}, but {quiet:.2f} times at σ = {data['sigmas'][0]:.0e}",
            "holds" if ratio < 0.5 and quiet < 0.5 else "holds in part" if ratio < 0.5
            else "does not hold",
        ),
    ]  # fmt: skip


def direction_verdict(worst: Mapping[str, float]) -> ClaimVerdict:
    """All of the ε must keep within `ALIGNED` degrees; some of them is in part."""
    aligned = [angle < ALIGNED for angle in worst.values()]
    return "holds" if all(aligned) else "holds in part" if any(aligned) else "does not hold"


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Angles over σ: one panel for each kind of noise and ε."""
    with look():
        made = figure(9, 6)
        panels = made.subplots(2, 2, sharex=True, sharey=True).flat
        for panel, (key, own) in zip(panels, data["angles"].items(), strict=True):
            shape, eps = key.split()
            for name, (to, look_of) in product(("Adam", "AdaBelief"), LOOKS.items()):
                style = {"color": COLORS[name], "ls": LINES[name], **look_of}
                label = f"{name}, to the {to}"
                panel.semilogx(data["sigmas"], own[name][to], label=label, **style)
            panel.set_title(f"{shape} variance, ε = {eps}")
        for panel in made.axes[2:]:
            panel.set_xlabel("σ of the noise")
        for panel in made.axes[::2]:
            panel.set_ylabel("degrees")
        made.legend(*made.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    yield Drawing(
        "eq5",
        "Angle of the update to the mean gradient (1, 0.1) and to its sign (1, 1) as the noise "
        "goes to zero.",
        saved(made),
    )


EQ5 = Exhibit("eq5", "Equation 5: sign descent, or not", "Section 2.2, equation 5", measure, draw)
