"""Figure 3: the paths of SGD, Adam and AdaBelief on seven functions, and who arrives first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.paper.exhibit import Drawing, Exhibit, Findings
from adabelief_lab.paper.figure3.race import RADII, TIMES, Race, races
from adabelief_lab.paper.figure3.race_claims import claims
from adabelief_lab.paper.figure3.race_tables import tables
from adabelief_lab.paper.figure3.trajectories import OPTIMIZERS


def measure() -> Findings:
    """Run all optimizers from the shown starts and from a grid of them."""
    return findings(races(), TIMES)


def findings(ran: Sequence[Race], times: NDArray[np.int64]) -> Findings:
    """Of races whose paths were kept at these times."""
    data = {
        "times": times.tolist(),
        # Of AdaBelief: pictures show where the others are then.
        "arrived": {
            race.landscape.name: [
                int(steps) if np.isfinite(steps) else int(times[-1])
                for steps in race.stays[RADII[0]][0]
            ]
            for race in ran
        },
        "paths": {
            race.landscape.name: [
                {name: _rounded(race.path[k, :, i]) for k, name in enumerate(OPTIMIZERS)}
                for i in range(len(race.landscape.starts))
            ]
            for race in ran
        },
    }
    return Findings(data, tables(ran), claims(ran))


def _rounded(path: Any) -> list[list[float] | None]:
    """Six digits, for pictures; None where a position is not finite."""
    return [
        [float(f"{x:.6g}") for x in at] if np.isfinite(at).all() else None for at in path.tolist()
    ]


def draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    """Draw the panels, the surfaces, the film and the page to explore them."""
    from adabelief_lab.paper.figure3.explore import page  # noqa: PLC0415, slow to import
    from adabelief_lab.paper.figure3.film import film  # noqa: PLC0415
    from adabelief_lab.paper.figure3.panels import panels, surfaces  # noqa: PLC0415

    yield panels(data)
    yield surfaces(data)
    yield film(data)
    yield page()


FIG3 = Exhibit("fig3", "Figure 3: trajectories on seven functions", "Section 2.2",
               measure, draw)  # fmt: skip
