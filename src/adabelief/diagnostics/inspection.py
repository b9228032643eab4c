"""All measures of one moment, as a table, as JSON, and with what is worth a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adabelief.diagnostics.findings import Finding, Kind, findings
from adabelief.diagnostics.measures import Measures, measure
from adabelief.diagnostics.samples import Sample

HEADS = (
    "name", "elements", "step size (5 % … 95 %)", "at floor", "as SGD lr", "decades", "> 10 lr",
    "Δθ/θ", "∠ grad", "∠ sign",
)  # fmt: skip
NAMED = 3


@dataclass(frozen=True)
class Inspection:
    """What an optimizer's belief is doing: of all parameters, of each group, of each parameter."""

    whole: Measures
    groups: tuple[Measures, ...]
    parameters: tuple[Measures, ...]
    members: tuple[int, ...]  # the group of each parameter

    @staticmethod
    def of(samples: Sequence[Sample]) -> Inspection:
        """Measure samples.

        Raises:
            ValueError: there are none.
        """
        whole = measure("all", samples)
        groups = measure_groups(samples)
        numbers = sorted({sample.group for sample in samples})
        parameters = [measure(sample.name, [sample]) for sample in samples]
        members = [numbers.index(sample.group) for sample in samples]
        return Inspection(whole, groups, tuple(parameters), tuple(members))

    def findings(self) -> list[Finding]:
        """What holds for all, then for a group but not for all, then for single parameters."""
        found = findings(self.whole)
        known = {finding.kind for finding in found}
        of_groups = [findings(group) for group in self.groups]
        if len(self.groups) > 1:
            found += [each for group in of_groups for each in group if each.kind not in known]
        return found + list(self._of_parameters(known, of_groups))

    def _of_parameters(
        self, known: set[Kind], of_groups: Sequence[Sequence[Finding]]
    ) -> Iterator[Finding]:
        """One for each kind: the first that has it speaks, the others are named."""
        alike: dict[str, list[Finding]] = {}
        for member, parameter in zip(self.members, self.parameters, strict=True):
            said = known | {finding.kind for finding in of_groups[member]}
            for finding in findings(parameter):
                if finding.kind not in said:
                    alike.setdefault(finding.kind, []).append(finding)
        for several in alike.values():
            names = [finding.name for finding in several[:NAMED]]
            more = f" and {len(several) - NAMED} more" if len(several) > NAMED else ""
            about = f" (of {names[0]})" if len(several) > 1 else ""
            text = several[0].text + about
            yield Finding(several[0].kind, ", ".join(names) + more, text)

    def rows(self, *, parameters: bool = True) -> list[list[str]]:
        """The table's cells: all, each group if there are several, each parameter if wanted."""
        shown = [self.whole]
        for number, group in enumerate(self.groups):
            if len(self.groups) > 1:
                shown.append(group)
            if parameters:
                pairs = zip(self.members, self.parameters, strict=True)
                shown += [each for member, each in pairs if member == number]
        return [_cells(measures) for measures in shown]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: every measure, and the findings. What is not finite is None."""
        return {
            "all": _plain(asdict(self.whole)),
            "groups": [_plain(asdict(group)) for group in self.groups],
            "parameters": [
                {"group": self.members[index], **_plain(asdict(parameter))}
                for index, parameter in enumerate(self.parameters)
            ],
            "findings": [finding._asdict() for finding in self.findings()],
        }

    def __str__(self) -> str:
        """The table and the findings as plain text."""
        rows = [list(HEADS), *self.rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            first = row[0].ljust(widths[0])
            rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join([first, *rest]).rstrip())
        lines += [f"{finding.name}: {finding.text}." for finding in self.findings()]
        return "\n".join(lines)


def measure_groups(samples: Sequence[Sample]) -> tuple[Measures, ...]:
    """Measures of each group that has samples, in order."""
    numbers = sorted({sample.group for sample in samples})
    return tuple(
        measure(f"group {number}", [sample for sample in samples if sample.group == number])
        for number in numbers
    )


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cells(m: Measures) -> list[str]:
    low, *_, high = m.step_size
    return [
        m.name,
        f"{m.numel:,}",
        f"{m.step_size[2]:.2g} ({low:.2g} … {high:.2g})",
        f"{100 * m.at_floor:.0f} %",
        f"{m.sgd_lr:.2g}",
        f"{m.adaptivity:.1f}",
        f"{100 * m.large_step:.1f} %",
        "–" if m.update_to_weight is None else f"{m.update_to_weight:.1g}",
        "–" if m.cos_gradient is None else f"{m.cos_gradient:.2f}",
        f"{m.cos_sign:.2f}",
    ]
