"""The ε-floor, and what of the paper's results it explains: ε, the belief, and β₁ taken apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adabelief_lab.paper.drawing import COLORS, LINES, figure, look, saved
from adabelief_lab.paper.exhibit import Cell, Claim, ClaimVerdict, Drawing, Exhibit, Findings, Table
from adabelief_lab.paper.floor_training import (
    BATCH,
    EPSILONS,
    LR,
    OPTIMIZERS,
    SEEDS,
    STEPS,
    outcomes,
)
from adabelief_lab.paper.previous_residual import step_sizes

TIMES = (1, 10, 100, 1000, 10_000)
IDENTITY_BETAS, IDENTITY_EPSILONS = (0.9, 0.99, 0.999), (1e-8, 1e-12, 1e-16)
BETA1S = (0.9, 0.5, 0.1, 0.01, 0.001)
# ε small enough not to matter.
ABLATION_STEPS, ELEMENTS, ABLATION_EPS = 200, 4096, 1e-16
FEW, MOST = 0.05, 0.5  # shares of the elements
ADAM_EPS = 1e-8  # Kingma & Ba 2015, and torch.optim.Adam's default


def measure() -> Findings:
    """The identity, the training over ε, the residual's two forms, and β₁ → 0."""
    identity = _identity()
    trained = outcomes()
    ablation = _ablation()
    data = {"identity": identity, "trained": trained, "ablation": ablation}
    tables = [_identity_table(identity), *_training_tables(trained), _ablation_table(ablation)]
    return Findings(data, tables, claims(data))


def _identity() -> list[dict[str, Any]]:
    """ŝ of gradients that are all 0, by Algorithm 2: nothing but ε."""
    found = []
    for beta2 in IDENTITY_BETAS:
        for eps in IDENTITY_EPSILONS:
            s, values = 0.0, []
            for step in range(1, max(TIMES) + 1):
                s = beta2 * s + eps
                if step in TIMES:
                    values.append(s / (1 - beta2**step))
            found.append({"beta2": beta2, "eps": eps, "s": values, "floor": eps / (1 - beta2)})
    return found


def _ablation() -> list[dict[str, float]]:
    """Largest step of any element over the last steps, for gₜ − mₜ and for gₜ − mₜ₋₁."""
    grads = np.random.default_rng(0).standard_normal((ABLATION_STEPS, ELEMENTS))
    found = []
    for beta1 in BETA1S:
        row = {"beta1": beta1}
        roots = {}
        for name, previous in (("current", False), ("previous", True)):
            sizes, roots[name] = step_sizes(grads, beta1, 0.999, ABLATION_EPS, previous=previous)
            row[name] = float(np.median(sizes[-1]))
        row["ratio"] = float(np.median(roots["previous"][-1] / roots["current"][-1]))
        found.append(row)
    return found


def _identity_table(identity: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (f"{own['beta2']}, {own['eps']:g}", *own["s"], own["floor"]) for own in identity
    ]
    return Table(
        "ŝ of gradients that are all 0",
        ("β₂, ε", *(f"t = {t:,}" for t in TIMES), "ε / (1 − β₂)"),
        tuple(rows),
    )


def _training_tables(trained: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[Table]:
    about = (
        f"Fashion-MNIST, 8,000 images, {STEPS} steps of batch {BATCH} at lr {LR:g} without decay "
        f"or schedule, means over {len(SEEDS)} seeds: a look at the mechanism, not a comparison"
    )
    for key, title, note in (
        ("accuracy", "Validation accuracy over ε", f"{about}."),
        ("at_floor", "Share of elements at the floor",
         "Those in whose denominator ε counts for at least as much as the gradients: ŝ at most "
         "2ε / (1 − β₂), or √v̂ at most ε for Adam."),
        ("sgd_lr", "Learning rate of SGD with momentum 0.9 that moves the median element as far",
         "α (1 − β₁) over the median denominator."),
    ):  # fmt: skip
        rows: list[tuple[Cell, ...]] = [
            (f"{eps:.0e}", *(trained[name][i][key] for name in OPTIMIZERS))
            for i, eps in enumerate(EPSILONS)
        ]
        yield Table(title, ("ε", *OPTIMIZERS), tuple(rows), note)


def _ablation_table(ablation: Sequence[Mapping[str, float]]) -> Table:
    return Table(
        "Independent N(0, 1) gradients: steps over lr, median element",
        ("β₁", "residual to mₜ (Algorithm 2)", "residual to mₜ₋₁", "ratio of √ŝ", "1 / β₁"),
        tuple(
            (f"{beta1:g}", own["current"], own["previous"], own["ratio"], 1 / beta1)
            for beta1, own in zip(BETA1S, ablation, strict=True)
        ),
        f"After {ABLATION_STEPS} steps, ε = {ABLATION_EPS:g}. gₜ − mₜ = β₁ (gₜ − mₜ₋₁), so that "
        "the two forms differ by a factor on √s, and β₁ → 0 leaves Algorithm 2 nothing to divide "
        "by.",
    )


def claims(data: Mapping[str, Any]) -> list[Claim]:
    """What the paper, and its authors' README, say of ε, the belief and the residual."""
    identity, trained, ablation = data["identity"], data["trained"], data["ablation"]
    error = max(abs(value / own["floor"] - 1) for own in identity for value in own["s"])
    floor = next(own for own in identity if own["beta2"] == 0.999 and own["eps"] == 1e-8)
    here = EPSILONS.index(1e-8)
    belief, adam, eadam = (trained[name][here] for name in ("AdaBelief", "Adam", "EAdam"))
    factor = max(abs(own["ratio"] * own["beta1"] - 1) for own in ablation)
    small = ablation[-1]
    return [
        Claim(
            "section 2.1, Algorithm 2",
            "ε keeps s bounded below, at least by ε",
            f"ε's part of ŝ is ε / (1 − β₂) at every step, to {error:.0e}: {floor['floor']:.3g} "
            f"for ε = {floor['eps']:g} and β₂ = {floor['beta2']}",
            "holds" if error < 1e-9 else "does not hold",
        ),
        Claim(
            "section 2.2 and Algorithm 2's default ε = 1e-8",
            "steps are divided by the belief",
            f"in our training {belief['at_floor']:.0%} of the elements are at the floor, where ε "
            "counts for more than the belief and steps are SGD's (of lr "
            f"{belief['same_as']:.3g} in torch's units). Accuracy {belief['accuracy']:.1%}; EAdam "
            f"with the same ε and no belief {eadam['accuracy']:.1%}, Adam {adam['accuracy']:.1%}",
            belief_verdict(belief["at_floor"]),
        ),
        Claim(
            "authors' README",
            "AdaBelief's eps corresponds to the square of Adam's",
            "the floors √(ε / (1 − β₂)) and ε are equal for (1 − β₂) times the square: "
            f"{(1 - floor['beta2']) * ADAM_EPS**2:.0e} for Adam's {ADAM_EPS:g}, not "
            f"{ADAM_EPS**2:.0e}",
            "does not hold" if not math.isclose(1 - floor["beta2"], 1) else "holds",
        ),
        Claim(
            "section 2.1",
            "the residual is gₜ − mₜ, to the new m",
            f"it is β₁ times the one to the old m: √ŝ of both differ by 1/β₁ to {factor:.0e}. With "
            f"β₁ = {small['beta1']:g} the median step is {small['current']:.0f} lr, and "
            f"{small['previous']:.2f} lr with the old m: β₁ → 0 is no limit of Algorithm 2",
            "holds" if factor < 1e-6 else "does not hold",
        ),
    ]


def belief_verdict(at_floor: float) -> ClaimVerdict:
    """By the share of elements where ε and not the belief divides the steps."""
    if at_floor > MOST:
        return "does not hold"
    return "holds" if at_floor < FEW else "holds in part"


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Training over ε: accuracy, share at the floor, SGD's learning rate; and the identity."""
    with look():
        made = figure(9, 6.2)
        panels = made.subplots(2, 2)
        for panel, key, title in (
            (panels[0, 0], "accuracy", "validation accuracy"),
            (panels[0, 1], "at_floor", "share of elements at the floor"),
            (panels[1, 0], "sgd_lr", "equivalent lr of SGD"),
        ):
            for name in OPTIMIZERS:
                values = [own[key] for own in data["trained"][name]]
                panel.semilogx(EPSILONS, values, color=COLORS[name], ls=LINES[name], marker="o",
                               ms=3, label=name)  # fmt: skip
            panel.invert_xaxis()
            panel.set(title=title, xlabel="ε")
        same = [own["same_as"] for own in data["trained"]["AdaBelief"]]
        panels[1, 0].loglog(EPSILONS, same, color="#9a6700", ls=":", label="all at the floor")
        panels[1, 0].set_yscale("log")
        panels[1, 0].legend()
        for own in data["identity"]:
            if own["beta2"] == 0.999:
                panels[1, 1].loglog(TIMES, own["s"], marker="o", ms=3, color=COLORS["AdaBelief"])
                panels[1, 1].axhline(own["eps"], color="#9a6700", ls=":", lw=1)
                panels[1, 1].annotate(f"ε = {own['eps']:g}", (1, own["eps"]), va="bottom",
                                      fontsize=8)  # fmt: skip
        panels[1, 1].set(title="ŝ without gradients, and ε (dotted)", xlabel="step")
    yield Drawing(
        "floor",
        "Training with ε from 1e-4 to 1e-20 (to the right it becomes smaller), and the part of ŝ "
        "that ε makes, which does not depend on the step.",
        saved(made),
    )


FLOOR = Exhibit("floor", "The ε-floor and the ablations", "Algorithm 2; section 3; EAdam",
                measure, draw)  # fmt: skip
