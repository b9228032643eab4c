"""All exhibits, in the paper's order."""

from __future__ import annotations

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
SETS = {"analytical": ANALYTICAL}
EXHIBITS = {exhibit.name: exhibit for exhibit in ANALYTICAL}


def chosen(names: list[str]) -> list[Exhibit]:
    """The exhibits of these names, or of these sets, each once and in the paper's order.

    Raises:
        LabError: a name is none of them.
    """
    wanted = set()
    for name in names:
        if name not in EXHIBITS and name not in SETS:
            known = ", ".join([*SETS, *EXHIBITS])
            msg = f"the exhibit must be one of {known}, got {name!r}"
            raise LabError(msg)
        wanted |= {exhibit.name for exhibit in SETS.get(name, (EXHIBITS.get(name),)) if exhibit}
    return [exhibit for exhibit in EXHIBITS.values() if exhibit.name in wanted]
