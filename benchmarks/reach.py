"""What was to be reached, and what was measured: the targets are typed here, nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adabelief_lab.bench.candidates import BASELINE, CEILING, OURS
from adabelief_lab.bench.models import MODELS
from adabelief_lab.bench.record import BenchRecord
from adabelief_lab.bench.rows import kind, title

# Largest time of ours in times of torch's fused Adam, one thread.
FASTER = {
    "16m": 0.92,
    "resnet34": 0.85,
    "densenet121": 0.70,
    "gpt2": 0.90,
    "364x1024": 0.25,
    "1000x64": 0.12,
}
LARGE = ("16m", "resnet34", "densenet121", "gpt2")
OF_CEILING = 0.93
SLOWER_PEERS = 6.0
BF16_STATE = 0.75
# Bytes of state per parameter; to two decimals, for each tensor also has its step count, and each
# block of 256 an exponent.
STATE = {OURS: 8.0, "bf16-state": 4.0, "8bit-state": 3.0}


@dataclass(frozen=True)
class Reached:
    """One target beside its measurement; `yes` is None where nothing was measured."""

    what: str
    target: str
    measured: str
    yes: bool | None


def reach(record: BenchRecord) -> list[Reached]:
    """Every target, in the order it was set."""
    return [
        *_faster(record),
        *_of_ceiling(record),
        *_peers(record),
        _at_most("bf16-state", "16m", BF16_STATE, record),
        *_state(record),
    ]


def _faster(record: BenchRecord) -> Iterator[Reached]:
    for shape, limit in FASTER.items():
        yield _at_most(OURS, shape, limit, record)


def _at_most(name: str, shape: str, limit: float, record: BenchRecord) -> Reached:
    what = f"{title(name)}: {MODELS[shape].title}, × {title(BASELINE)}"
    ratio = record.ratio("speed", shape, 1, name, BASELINE)
    if ratio is None:
        return _missing(what, f"≤ {limit:.2f}")
    return Reached(what, f"≤ {limit:.2f}", f"{ratio.median:.3f}", ratio.median <= limit)


def _of_ceiling(record: BenchRecord) -> Iterator[Reached]:
    for shape in LARGE:
        what = f"{title(OURS)}: {MODELS[shape].title}, of the {title(CEILING)}"
        target = f"≥ {100 * OF_CEILING:.0f} %"
        part = record.ratio("speed", shape, 1, CEILING, OURS)
        if part is None:
            yield _missing(what, target)
        else:
            yield Reached(what, target, f"{100 * part.median:.1f} %", part.median >= OF_CEILING)


def _peers(record: BenchRecord) -> Iterator[Reached]:
    for shape in FASTER:
        what = f"fastest other AdaBelief: {MODELS[shape].title}, × ours"
        target = f"≥ {SLOWER_PEERS:g}"
        ratios = {}
        for name in {name for heat in record.heats for name in heat.seconds}:
            ratio = record.ratio("speed", shape, 1, name, OURS)
            if kind(name) == "peer" and ratio is not None:
                ratios[name] = ratio.median
        if ratios:
            name = min(ratios, key=lambda name: ratios[name])
            said = f"{ratios[name]:.2f} ({title(name)})"
            yield Reached(what, target, said, ratios[name] >= SLOWER_PEERS)
        else:
            yield _missing(what, target)


def _state(record: BenchRecord) -> Iterator[Reached]:
    for name, limit in STATE.items():
        what = f"{title(name)}: bytes of state per parameter, to two decimals"
        found = record.footprint(name)
        if found is None:
            yield _missing(what, f"≤ {limit:g}")
        else:
            own = found.state_per_parameter
            yield Reached(what, f"≤ {limit:g}", f"{own:.3f}", round(own, 2) <= limit)


def _missing(what: str, target: str) -> Reached:
    return Reached(what, target, "not measured", None)
