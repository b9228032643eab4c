"""The targets of docs/performance.md, typed here, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from adabelief_lab.bench.candidates import BASELINE, CEILING, OURS, kind, title
from adabelief_lab.bench.models import MODELS
from adabelief_lab.bench.record import BenchRecord

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
# Bytes of state per parameter, to two decimals: each tensor has a step count besides, and each
# block of 256 an exponent.
STATE = {OURS: 8.0, "bf16-state": 4.0, "8bit-state": 3.0}


class Target(NamedTuple):
    """One target beside its measurement; `reached` is None where nothing was measured."""

    what: str
    target: str
    measured: str = "not measured"
    reached: bool | None = None


def targets(record: BenchRecord) -> Iterator[Target]:
    """Every target, in the order it was set."""
    for shape, limit in FASTER.items():
        yield _at_most(OURS, shape, limit, record)
    for shape in LARGE:
        what = f"{title(OURS)}: {MODELS[shape].title}, of the {title(CEILING)}"
        part = record.ratio("speed", shape, 1, CEILING, OURS)
        measured = (f"{100 * part.median:.1f} %", part.median >= OF_CEILING) if part else ()
        yield Target(what, f"≥ {100 * OF_CEILING:.0f} %", *measured)
    for shape in FASTER:
        what = f"fastest other AdaBelief: {MODELS[shape].title}, × ours"
        ratios = [
            (ratio.median, name)
            for name in sorted({name for timing in record.timings for name in timing.seconds})
            if kind(name) == "peer" and (ratio := record.ratio("speed", shape, 1, name, OURS))
        ]
        least, name = min(ratios, default=(0.0, ""))
        measured = (f"{least:.2f} ({title(name)})", least >= SLOWER_PEERS) if ratios else ()
        yield Target(what, f"≥ {SLOWER_PEERS:g}", *measured)
    yield _at_most("bf16-state", "16m", BF16_STATE, record)
    for name, limit in STATE.items():
        what = f"{title(name)}: bytes of state per parameter, to two decimals"
        used = record.memory_of(name)
        own = used.state_per_parameter if used else 0.0
        measured = (f"{own:.3f}", round(own, 2) <= limit) if used else ()
        yield Target(what, f"≤ {limit:g}", *measured)


def _at_most(name: str, shape: str, limit: float, record: BenchRecord) -> Target:
    what = f"{title(name)}: {MODELS[shape].title}, × {title(BASELINE)}"
    ratio = record.ratio("speed", shape, 1, name, BASELINE)
    measured = (f"{ratio.median:.3f}", ratio.median <= limit) if ratio else ()
    return Target(what, f"≤ {limit:.2f}", *measured)
