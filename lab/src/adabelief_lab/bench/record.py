"""What `adabelief bench` leaves: every time of every round, and the machine. All else follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from adabelief_lab.bench.harness import Ratio, json_text, paired

Part = Literal["speed", "overhead", "paths", "memory"]
PARTS: tuple[Part, ...] = ("speed", "overhead", "paths", "memory")


class Timing(BaseModel):
    """Times of candidates in the same rounds of one process, on shared parameters.

    Args:
        clock: "thread CPU time" with one thread, "wall time" with more.
        repeats: steps in each time.
        layouts: how often all arrays were made anew elsewhere in memory.
        load: the machine's load average (one minute), smallest and largest over the rounds;
            None where the system does not tell.
        seconds: candidate -> seconds of one step, one number for each round.
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
        """How much longer one candidate took than another, in the same rounds."""
        return paired(self.seconds[name], self.seconds[baseline])


class MemoryUse(BaseModel):
    """What one candidate needs in memory, in a fresh process.

    Args:
        state: bytes of the tensors in the optimizer's state.
        peak: the process's largest resident memory over three steps, in bytes.
        before: its resident memory with parameters and gradients, before the optimizer was made.
            Both are None where the system does not tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: str
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
        complete: whether it came to its end; a record that was stopped is good, but not all.
        left_out: candidate -> why it could not run.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[2] = 2  # format 1 had other names for timings and candidates
    command: str
    started: str
    finished: str = ""
    complete: bool = False
    machine: dict[str, Any]
    left_out: dict[str, str] = {}
    timings: list[Timing] = []
    memory: list[MemoryUse] = []

    def among(self, part: Part, shape: str, threads: int) -> list[Timing]:
        """All timings of that part on that shape with so many threads."""
        wanted = (part, shape, threads)
        return [one for one in self.timings if (one.part, one.shape, one.threads) == wanted]

    def timing(self, part: Part, shape: str, threads: int, *names: str) -> Timing | None:
        """The timing with the most rounds in which all of these ran, if there is one."""
        those = [
            one for one in self.among(part, shape, threads) if one.seconds.keys() >= set(names)
        ]
        return max(those, key=lambda one: one.rounds, default=None)

    def ratio(self, part: Part, shape: str, threads: int, name: str, baseline: str) -> Ratio | None:
        """How much longer one took than another, or None if they never ran together."""
        found = self.timing(part, shape, threads, name, baseline)
        return found.ratio(name, baseline) if found else None

    def names(self, part: Part, shape: str, threads: int) -> list[str]:
        """Candidates that ran there, each once."""
        ran = (name for one in self.among(part, shape, threads) for name in one.seconds)
        return list(dict.fromkeys(ran))

    def load(self, part: Part, shape: str, threads: int) -> tuple[float, float] | None:
        """Smallest and largest load average over all timings there."""
        loads = [load for one in self.among(part, shape, threads) for load in one.load or ()]
        return (min(loads), max(loads)) if loads else None

    def memory_of(self, name: str) -> MemoryUse | None:
        """What a candidate needs in memory, if that was measured."""
        return next((one for one in self.memory if one.candidate == name), None)

    def shapes(self, part: Part, threads: int | None = None) -> list[str]:
        """Shapes in the order they ran."""
        there = [one for one in self.timings if one.part == part and threads in (None, one.threads)]
        return list(dict.fromkeys(one.shape for one in there))

    def threads(self) -> list[int]:
        """Numbers of threads of the speed part, in order."""
        return sorted({one.threads for one in self.timings if one.part == "speed"})

    def json_text(self) -> str:
        """As JSON, one line for each candidate's times."""
        return json_text(self.model_dump(mode="json"))


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
