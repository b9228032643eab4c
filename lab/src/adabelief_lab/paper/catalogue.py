"""All exhibits, in the paper's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adabelief_lab.common.errors import LabError
from adabelief_lab.paper.eq5 import EQ5
from adabelief_lab.paper.exhibit import Exhibit
from adabelief_lab.paper.experiments.experiment import Experiment
from adabelief_lab.paper.experiments.gan import GAN
from adabelief_lab.paper.experiments.language import LANGUAGE
from adabelief_lab.paper.experiments.vision import VISION
from adabelief_lab.paper.fig1 import FIG1
from adabelief_lab.paper.fig2 import FIG2
from adabelief_lab.paper.figure3.fig3 import FIG3
from adabelief_lab.paper.floor import FLOOR
from adabelief_lab.paper.table1 import TABLE1
from adabelief_lab.paper.theorems.theorem21 import THEOREM21
from adabelief_lab.paper.theorems.theorem22 import THEOREM22

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
