"""What others measured: the paper, the authors' stored runs, and whoever ran them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Reported:
    """Numbers of others for the panels of one exhibit, in `<exhibit>.json` beside this file.

    Args:
        unit: of all of them.
        sources: what each word for a source means, the most authoritative first.
        tolerance: largest difference of two runs of one recipe that means nothing, in that unit;
            None if nobody knows.
        reason: where the tolerance is from.
        panels: by workload, optimizer and source: "best" over training, "final", and others.
    """

    unit: str
    sources: Mapping[str, str]
    tolerance: float | None
    reason: str
    panels: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]

    def of(self, workload: str, spec: str) -> Mapping[str, Mapping[str, float]]:
        """By source; empty if nobody reported anything."""
        return self.panels.get(workload, {}).get(spec, {})


def read(exhibit: str) -> Reported:
    """The numbers for the exhibit of that name."""
    text = resources.files(__package__).joinpath(f"{exhibit}.json").read_text(encoding="utf-8")
    content = json.loads(text)
    tolerance = content["tolerance"] or {"best": None, "source": ""}
    return Reported(
        unit=content["unit"],
        sources=content["sources"],
        tolerance=tolerance["best"],
        reason=tolerance["source"],
        panels=content["panels"],
    )


def compared(numbers: Mapping[str, float]) -> tuple[str, float]:
    """Which number of a source is compared with ours: the best over training, else the last."""
    which = "best" if "best" in numbers else "final"
    return which, numbers[which]
