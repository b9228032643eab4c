"""What the paper says about Figure 3, beside who arrived first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from adabelief.reference import Array
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict
from adabelief_lab.paper.figure3.race import FIELDS, RADII, Race, ahead
from adabelief_lab.paper.figure3.race_tables import steps_text
from adabelief_lab.paper.figure3.trajectories import OPTIMIZERS

FIGURE = "figure 3"
# From some starts of a grid a first step hits the optimum by chance.
NEARLY_ALL = 0.95


def claims(races: Sequence[Race]) -> list[Claim]:
    """The caption's claim by function, over the grid and with the control; and that of (d)."""
    return [*(_panel(race) for race in races), _grid(races), _control(races), *_directions(races)]


def _panel(race: Race) -> Claim:
    """AdaBelief against SGD, in both forms, and Adam, from every shown start."""
    steps = race.stays[RADII[0]]
    fields = [FIELDS["SGD, Adam"], FIELDS["SGD (EMA), Adam"]]
    cases = [bool(won) for field in fields for won in ahead(steps, field)]
    texts = []
    for i, start in enumerate(race.landscape.starts):
        each = ", ".join(
            f"{name} {steps_text(steps[k, i], race.lost[k, i])}"
            for k, name in enumerate(OPTIMIZERS)
        )
        texts.append(f"from {start.point}: {each}")
    x, y = (f"{np.mean(ahead(race.grid_stays[RADII[0]], field)):.0%}" for field in fields)
    return Claim(
        f"{FIGURE}, {race.landscape.panel}",
        f"AdaBelief reaches the optimum of {race.landscape.formula} the fastest",
        f"steps until within {RADII[0]} for good {'; '.join(texts)}. Over the grid it is fastest "
        f"from {x} of the starts against heavy ball and Adam, from {y} with SGD as in equation 1",
        verdict(cases),
    )


def _grid(races: Sequence[Race]) -> Claim:
    """Over all grids: of the starts from which anyone of the field arrives."""
    shares = {}
    for name in ("SGD, Adam", "SGD (EMA), Adam"):
        field = FIELDS[name]
        rows = [OPTIMIZERS.index(each) for each in ("AdaBelief", *field)]
        for radius in RADII:
            steps = np.concatenate([race.grid_stays[radius] for race in races], axis=1)
            anyone = np.isfinite(steps[rows]).any(axis=0)
            won = ahead(steps, field) & anyone
            shares[name, radius] = float(won.sum() / max(anyone.sum(), 1))
    text = "; ".join(f"{share:.0%} against {name} (within {radius})"
                     for (name, radius), share in shares.items())  # fmt: skip
    return Claim(
        f"{FIGURE}, caption",
        "AdaBelief reaches the optimal point the fastest in all cases",
        f"of all functions' starts on a grid from which anyone arrives, fastest from {text}; "
        f"it counts as all from {NEARLY_ALL:.0%} on",
        verdict([share >= NEARLY_ALL for share in shares.values()]),
    )


def _control(races: Sequence[Race]) -> Claim:
    radius = RADII[0]
    belief, control = OPTIMIZERS.index("AdaBelief"), OPTIMIZERS.index("EAdam")
    pairs = [
        (race.stays[radius][belief, i], race.stays[radius][control, i])
        for race in races
        for i in range(len(race.landscape.starts))
    ]
    ratios = [b / a for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    won = sum(a < b for a, b in pairs)
    both = (
        f"; where both arrive, EAdam takes {min(ratios):.3g} to {max(ratios):.3g} times as many"
        if ratios
        else ""
    )
    return Claim(
        "section 2.2, with a control that the paper does not have",
        "it is the belief (g − m)² that makes AdaBelief fast, not where its ε stands",
        f"AdaBelief arrives before EAdam from {won} of {len(pairs)} shown starts{both}",
        verdict([a < b for a, b in pairs]),
    )


def _directions(races: Sequence[Race]) -> list[Claim]:
    race = next((each for each in races if each.landscape.panel == "(d)"), None)
    if race is None:
        return []
    path = race.path[:, :, 0]
    x, y = race.landscape.starts[0].point
    by_x, by_y = race.landscape.grad(np.array([x]), np.array([y]))
    along = math.degrees(math.atan2(abs(by_y[0]), abs(by_x[0])))
    found = {name: heading(path[k]) for k, name in enumerate(OPTIMIZERS)}
    off = {name: abs(found[name] - along) for name in ("AdaBelief", "SGD", "SGD (EMA)")}
    angles = ", ".join(f"{name} {angle:.1f}°" for name, angle in found.items())
    return [
        Claim(
            "section 2.2, example (d)",
            "with small betas Adam goes at 45° to the axes, AdaBelief and SGD along the gradient",
            f"from {(x, y)} until a gradient changes its sign: {angles} to the x axis; "
            f"the gradient {along:.1f}°",
            verdict([abs(found["Adam"] - 45) < 5, *(angle < 5 for angle in off.values())]),
        )
    ]


def heading(path: Array) -> float:
    """Angle to the x axis, in degrees, of the way in the quadrant of the start.

    Args:
        path: of shape (times, 2), the start first.
    """
    same = np.all(np.sign(path) == np.sign(path[0]), axis=1)
    end = len(same) if same.all() else int(np.argmin(same))
    moved = np.abs(path[end - 1] - path[0])
    return float(np.degrees(np.arctan2(moved[1], moved[0])))


def verdict(cases: Sequence[bool]) -> ClaimVerdict:
    """All, some or none of the cases."""
    if all(cases):
        return "holds"
    return "holds in part" if any(cases) else "does not hold"
