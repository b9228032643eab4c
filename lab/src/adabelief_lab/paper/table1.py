"""Table 1: small or large stepsizes in the three cases, from computed numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adabelief_lab.paper.drawing import COLORS, figure, look, saved
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict, Drawing, Exhibit, Findings, Table
from adabelief_lab.paper.fig1 import OPTIMIZERS
from adabelief_lab.paper.fig1_regions import CASES, LAST, LR, STEPS, Walk, letters, walk

# "Stepsize" may be all of |Δθ|, as the paper defines it, or the factor on m that its argument is
# about (a small or large denominator).
READINGS = {"step": "|Δθ|", "factor": "α over the denominator"}


def measure() -> Findings:
    """S and L of each optimizer in each case, by both readings."""
    walks = {name: {case.name: walk(name, case) for case in CASES} for name in OPTIMIZERS}
    values = {
        reading: {
            name: {case: getattr(found, reading) for case, found in own.items()}
            for name, own in walks.items()
        }
        for reading in READINGS
    }
    found = {
        reading: {name: letters(own) for name, own in by_name.items()}
        for reading, by_name in values.items()
    }
    tables = [_gradients(walks["AdaBelief"])]
    tables += [_table(reading, values[reading], found[reading]) for reading in READINGS]
    return Findings({"values": values}, tables, claims(found, values))


def claims(
    found: Mapping[str, Mapping[str, Mapping[str, str]]],
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> list[Claim]:
    """Table 1's rows, one for each optimizer.

    Args:
        found: letters by reading, optimizer and case.
        values: the numbers behind them.
    """
    made = []
    for name in OPTIMIZERS:
        paper = {case.name: case.paper[name] for case in CASES}
        agrees = [reading for reading in READINGS if dict(found[reading][name]) == paper]
        told = [
            f"by {title} {_letters(found[reading][name])} "
            f"({', '.join(f'{value:.2g}' for value in values[reading][name].values())})"
            for reading, title in READINGS.items()
            if not (name == "SGD" and reading == "factor")  # it has no denominator
        ]
        made.append(
            Claim(
                "table 1",
                f"{name}'s stepsize in cases 1, 2 and 3 is {_letters(paper)}",
                "; ".join(told),
                verdict("step" in agrees, "factor" in agrees),
            )
        )
    ideal = {case.name: case.ideal for case in CASES}
    best = {
        reading: [name for name in OPTIMIZERS if dict(found[reading][name]) == ideal]
        for reading in READINGS
    }
    told = [
        f"by {title}: {', '.join(best[reading]) or 'none'}" for reading, title in READINGS.items()
    ]
    made.append(
        Claim(
            "table 1",
            "only AdaBelief has the ideal stepsizes in all three cases",
            "; ".join(told),
            verdict(best["step"] == ["AdaBelief"], best["factor"] == ["AdaBelief"]),
        )
    )
    return made


def verdict(by_step: bool, by_factor: bool) -> ClaimVerdict:
    """The paper defines the stepsize as |Δθ|: the other reading alone is half of it."""
    if by_step:
        return "holds"
    return "holds in part" if by_factor else "does not hold"


def _letters(found: Mapping[str, str]) -> str:
    return ", ".join(found.values())


def _gradients(walks: Mapping[str, Walk]) -> Table:
    rows = tuple(
        (f"{case.name}: {case.what}", walks[case.name].grad, walks[case.name].change,
         ", ".join(case.grad), case.ideal)
        for case in CASES
    )  # fmt: skip
    return Table(
        "The cases, as AdaBelief met them",
        ("case", "|g|", "|g − previous g|", "paper", "ideal stepsize"),
        rows,
        f"Means over the last {LAST} of {STEPS:,} steps, lr {LR:g}.",
    )


def _table(
    reading: str,
    values: Mapping[str, Mapping[str, float]],
    found: Mapping[str, Mapping[str, str]],
) -> Table:
    rows = []
    for case in CASES:
        cells = [
            f"{values[name][case.name]:.3g} {found[name][case.name]} ({case.paper[name]})"
            for name in OPTIMIZERS
        ]
        rows.append((f"{case.name}: {case.what}", case.ideal, *cells))
    return Table(
        f"Stepsizes as {READINGS[reading]}",
        ("case", "ideal", *OPTIMIZERS),
        tuple(rows),
        "S or L: below or above the geometric middle of the optimizer's own smallest and largest "
        "of the three; = where these differ by less than a factor of 2. In brackets the paper's.",
    )


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """The numbers behind the letters."""
    with look():
        made = figure(9, 3.2)
        for panel, (reading, title) in zip(made.subplots(1, 2), READINGS.items(), strict=True):
            for shift, name in enumerate(OPTIMIZERS):
                own = data["values"][reading][name]
                places = [i + (shift - 1) * 0.25 for i in range(len(own))]
                panel.bar(places, list(own.values()), 0.23, color=COLORS[name], label=name)
            panel.set_yscale("log")
            panel.set_xticks(range(len(CASES)), [f"{c.name}: {c.what}\nideal {c.ideal}"
                                                 for c in CASES])  # fmt: skip
            panel.set_title(title)
            panel.grid(axis="x", visible=False)
            panel.margins(y=0.2)
        made.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield Drawing("table1", "Stepsizes in the three cases of figure 1, by both readings.",
                  saved(made))  # fmt: skip


TABLE1 = Exhibit("table1", "Table 1: small and large stepsizes", "Section 2.2", measure, draw)
