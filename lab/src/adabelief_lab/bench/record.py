"""What a benchmark leaves: every time of every round, and the machine; the rest is derived."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from adabelief_lab.bench.ratios import Ratio, paired

Part = Literal["speed", "overhead", "paths", "memory"]
PARTS: tuple[Part, ...] = ("speed", "overhead", "paths", "memory")


class Heat(BaseModel):
    """Contenders that ran against each other: the same rounds, one process, shared parameters.

    Args:
        clock: "thread CPU time" with one thread, "wall time" with more.
        repeats: steps in each time.
        layouts: how often everything was made anew elsewhere in memory.
        load: the machine's load average (one minute), smallest and largest over the rounds;
            None where the system has none.
        seconds: contender -> seconds of one step, one number for each round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Part
    shape: str
    tensors: int
    parameters: int
    threads: int
    clock: str
    repeats: int
    layouts: int
    load: tuple[float, float] | None
    seconds: dict[str, list[float]]

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return len(next(iter(self.seconds.values())))

    def ratio(self, name: str, baseline: str) -> Ratio:
        """How much longer one took than another, in the same rounds."""
        return paired(self.seconds[name], self.seconds[baseline])


class Footprint(BaseModel):
    """What one contender needs in memory, in a fresh process.

    Args:
        state: bytes of the tensors in the optimizer's state.
        peak: the process's largest resident memory over three steps, in bytes.
        before: its resident memory with parameters and gradients, before the optimizer was made.
            Both are None where the system does not tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    shape: str
    parameters: int
    state: int
    peak: int | None
    before: int | None

    @property
    def state_per_parameter(self) -> float:
        """Bytes of state for each parameter."""
        return self.state / self.parameters

    @property
    def peak_per_parameter(self) -> float | None:
        """Bytes of memory for each parameter at the peak, state and temporary arrays."""
        if self.peak is None or self.before is None:
            return None
        return (self.peak - self.before) / self.parameters


class BenchRecord(BaseModel):
    """One run of `adabelief bench`.

    Args:
        complete: whether it came to its end; what a stopped one has is good, but not all.
        left_out: contender -> why it could not run.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    command: str
    started: str
    finished: str = ""
    complete: bool = False
    machine: dict[str, Any]
    left_out: dict[str, str] = {}
    heats: list[Heat] = []
    memory: list[Footprint] = []

    def heat(self, part: Part, shape: str, threads: int, *names: str) -> Heat | None:
        """The heat with the most rounds in which all of these ran, if there is one."""
        those = [
            heat
            for heat in self.heats
            if (heat.part, heat.shape, heat.threads) == (part, shape, threads)
            and heat.seconds.keys() >= set(names)
        ]
        return max(those, key=lambda heat: heat.rounds, default=None)

    def ratio(self, part: Part, shape: str, threads: int, name: str, baseline: str) -> Ratio | None:
        """How much longer one took than another, or None if they never ran together."""
        heat = self.heat(part, shape, threads, name, baseline)
        return heat.ratio(name, baseline) if heat else None

    def footprint(self, name: str) -> Footprint | None:
        """What a contender needs in memory, if that was measured."""
        return next((one for one in self.memory if one.contender == name), None)

    def shapes(self, part: Part, threads: int | None = None) -> list[str]:
        """Shapes in the order they ran."""
        there = [h for h in self.heats if h.part == part and threads in (None, h.threads)]
        return list(dict.fromkeys(heat.shape for heat in there))

    def threads(self) -> list[int]:
        """Numbers of threads of the speed part, in order."""
        return sorted({heat.threads for heat in self.heats if heat.part == "speed"})

    def json_text(self) -> str:
        """As JSON, one line for each contender's times."""
        return _compact(self.model_dump(mode="json")) + "\n"


def _compact(value: Any, depth: int = 0) -> str:
    """JSON indented by one, lists of numbers on one line: it is read and compared by people."""
    pad, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict) and value:
        inner = [f"{json.dumps(key)}: {_compact(one, depth + 1)}" for key, one in value.items()]
        return "{" + pad + f",{pad}".join(inner) + end + "}"
    if isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        return "[" + pad + f",{pad}".join(_compact(one, depth + 1) for one in value) + end + "]"
    return json.dumps(value)


def read_record(path: Path) -> BenchRecord:
    """The record in a file.

    Raises:
        ValueError: the file cannot be read, or is no record; the message names it.
    """
    try:
        return BenchRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ValueError(msg) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"{path} is no record of adabelief bench: {where}: {first['msg']}"
        raise ValueError(msg) from None
