"""A page on which the reader chooses function, start and settings, and runs the optimizers."""

from __future__ import annotations

import json
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from adabelief_lab.paper.closed_form_moments import EPS
from adabelief_lab.paper.drawing import COLORS
from adabelief_lab.paper.exhibit import Drawing
from adabelief_lab.paper.figure3.landscapes import LANDSCAPES
from adabelief_lab.paper.figure3.race import RADII, STEPS
from adabelief_lab.paper.figure3.trajectories import LR
from adabelief_lab.report.palette import DARK, LIGHT

SCRIPTS = ("landscapes.js", "optimizers.js", "explore.js")


def page() -> Drawing:
    """One file that needs nothing else: the recursions run in the browser, in double precision."""
    facts = {
        "landscapes": {
            each.name: {
                "formula": each.formula,
                "optimum": each.optimum,
                "view": each.view,
                "start": each.starts[0].point,
                "betas": each.betas,
            }
            for each in LANDSCAPES
        },
        "optimizers": {
            name: {"light": LIGHT[i], "dark": DARK[i]} for i, name in enumerate(COLORS)
        },
        "lr": LR,
        "eps": EPS,
        "steps": STEPS,
        "radius": RADII[0],
    }  # fmt: skip
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    html = environment.from_string(_own_file("explore.html")).render(
        landscapes=LANDSCAPES,
        optimizers=COLORS,
        radius=RADII[0],
        style=Markup(_own_file("explore.css")),
        facts=Markup(json.dumps(facts, ensure_ascii=False).replace("<", r"\u003c")),
        script=Markup("".join(map(_own_file, SCRIPTS))),
    )
    return Drawing("explore", "Try it: functions, starts and settings of your own.",
                   {"html": html.encode()})  # fmt: skip


def _own_file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
