"""All exhibits, in the paper's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adabelief.lab.errors import LabError
from adabelief.lab.paper.eq5 import EQ5
from adabelief.lab.paper.exhibit import Exhibit
from adabelief.lab.paper.fig1 import FIG1
from adabelief.lab.paper.fig2 import FIG2
from adabelief.lab.paper.figure3.fig3 import FIG3
from adabelief.lab.paper.floor import FLOOR
from adabelief.lab.paper.table1 import TABLE1
from adabelief.lab.paper.theorems.theorem21 import THEOREM21
from adabelief.lab.paper.theorems.theorem22 import THEOREM22
from adabelief.lab.paper.trained.experiment import Experiment
from adabelief.lab.paper.trained.gan import GAN
from adabelief.lab.paper.trained.language import LANGUAGE
from adabelief.lab.paper.trained.vision import VISION

ANALYTICAL: tuple[Exhibit, ...] = (
    FIG1,
    TABLE1,
    FIG2,
    EQ5,
    FIG3,
    THEOREM21,
    THEOREM22,
    FLOOR,
)

# One word for several.
SETS: Mapping[str, Sequence[Exhibit | Experiment]] = {
    "analytical": ANALYTICAL,
    "vision": VISION,
    "language": LANGUAGE,
    "gan": GAN,
}
EXHIBITS = {exhibit.name: exhibit for exhibit in ANALYTICAL}
EXPERIMENTS = {experiment.name: experiment for experiment in (*VISION, *LANGUAGE, *GAN)}
NAMES = (*EXHIBITS, *EXPERIMENTS)


def chosen(names: list[str]) -> list[Exhibit | Experiment]:
    """The exhibits of these names, or of these sets, each once and in the paper's order.

    Raises:
        LabError: a name is none of them.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in NAMES and name not in SETS:
            known = ", ".join([*SETS, *NAMES])
            msg = f"the exhibit must be one of {known}, got {name!r}"
            raise LabError(msg)
        wanted |= {each.name for each in SETS[name]} if name in SETS else {name}
    everything: tuple[Exhibit | Experiment, ...] = (*ANALYTICAL, *VISION, *LANGUAGE, *GAN)
    return [each for each in everything if each.name in wanted]
