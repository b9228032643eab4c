"""Figure 3 in numbers: tables of arrivals, and the paper's claims about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from adabelief.lab.paper.exhibit import Claim, Table, Verdict
from adabelief.lab.paper.moments import BETAS, EPS
from adabelief.lab.paper.race import FIELDS, RADII, SIDE, STEPS, Race, ahead, fastest
from adabelief.lab.paper.trajectories import LR, OPTIMIZERS
from adabelief.reference import Array

FIGURE = "figure 3"
# Nearly: a grid of starts has some whose first step, by chance, hits the optimum.
NEARLY_ALL = 0.95


def verdict(cases: Sequence[bool]) -> Verdict:
    """All, some or none of the cases."""
    if all(cases):
        return "holds"
    return "holds in part" if any(cases) else "does not hold"


def steps_text(steps: float, lost: float = math.inf) -> str:
    """Steps until arrival, or what happened instead."""
    if math.isfinite(steps):
        return f"{steps:,.0f}"
    return f"diverged at {lost:,.0f}" if math.isfinite(lost) else "never"


def tables(races: Sequence[Race]) -> list[Table]:
    """Steps from the shown starts, then over the grids."""
    starts = tuple(
        (race.landscape.title, f"{start.point}", start.why)
        for race in races
        for start in race.landscape.starts
    )
    settings = (
        f"lr {LR:g}, betas and momentum {BETAS} but (0.3, 0.3) in (d), ε = {EPS:g}, float64, "
        f"{STEPS:,} steps. In brackets: the first visit, where the path left again."
    )
    shown = [
        Table(
            f"Steps until within {radius} of the optimum for good",
            ("function", "start", *OPTIMIZERS),
            tuple(_shown(races, radius)),
            settings,
        )
        for radius in RADII
    ]
    head = ("function", *OPTIMIZERS)
    radius = RADII[0]
    names = [race.landscape.title for race in races]
    medians = [np.median(race.grid_stays[radius], axis=1) for race in races]
    never = [np.mean(np.isinf(race.grid_stays[radius]), axis=1) for race in races]
    lost = [np.mean(np.isfinite(race.grid_lost), axis=1) for race in races]
    wins = [np.mean(fastest(race.grid_stays[radius]), axis=1) for race in races]
    grid = f"Over a grid of {SIDE}² starts:"
    return [
        Table("Starts: the paper names none", ("function", "start", "why there"), starts),
        *shown,
        Table(
            f"{grid} median of steps until within {radius} for good", head,
            tuple((name, *map(steps_text, row))
                  for name, row in zip(names, medians, strict=True)),
            f"“never”: more than half of the starts do not lead there in {STEPS:,} steps.",
        ),
        Table(
            f"{grid} share that never arrives (that diverges)", head,
            tuple((name, *(f"{a:.0%} ({b:.0%})" if b else f"{a:.0%}"
                            for a, b in zip(row, far, strict=True)))
                  for name, row, far in zip(names, never, lost, strict=True)),
            "Diverged: a coordinate is finite no more.",
        ),
        Table(
            f"{grid} share in which each is fastest", head,
            tuple((name, *(f"{share:.0%}" for share in row))
                  for name, row in zip(names, wins, strict=True)),
            "Of all five; equal steps count for both. The rest: nobody arrives.",
        ),
        Table(
            f"{grid} share in which AdaBelief is fastest, by who else runs",
            ("function", *FIELDS),
            tuple((name, *(f"{np.mean(ahead(race.grid_stays[radius], field)):.0%}"
                            for field in FIELDS.values()))
                  for name, race in zip(names, races, strict=True)),
            "SGD: heavy ball, as torch has it. SGD (EMA): equation 1 of the paper, 10 times "
            "slower at β₁ = 0.9. EAdam: AdaBelief's ε without its belief.",
        ),
    ]  # fmt: skip


def _shown(races: Sequence[Race], radius: float) -> list[tuple[str, ...]]:
    rows = []
    for race in races:
        for i, start in enumerate(race.landscape.starts):
            cells = []
            for stays, first, lost in zip(
                race.stays[radius][:, i], race.first[radius][:, i], race.lost[:, i], strict=True
            ):
                visit = "" if first == stays else f" ({first:,.0f})"
                cells.append(steps_text(stays, lost) + visit)
            rows.append((race.landscape.title, f"{start.point}", *cells))
    return rows


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
