"""The folder of one run: what is written while it trains, and what it goes on from."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import torch
from filelock import FileLock
from pydantic import ValidationError

from adabelief_lab.common.atomic_files import naming, replace, replace_json, sweep, sync
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.declare.study import Result, Run


class RunFolder:
    """The folder of one run. Whoever writes does so within `locked()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec, self.metrics = path / "spec.json", path / "metrics.jsonl"
        self.checkpoint, self.outcome = path / "checkpoint.pt", path / "result.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock that the kernel frees when its holder dies. Makes the folder."""
        with naming(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / "lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def result(self) -> Result | None:
        """How the run ended; None while it has not, or when the file is damaged."""
        try:
            return Result.model_validate_json(self.outcome.read_bytes())
        except (OSError, ValidationError):
            return None

    def rows(self) -> list[dict[str, Any]]:
        """The complete rows of metrics.jsonl; a line cut off by a kill is not one."""
        try:
            lines = self.metrics.read_bytes().split(b"\n")
        except OSError:
            return []
        lines.pop()  # cut off, or nothing after the last line's end
        try:
            return json.loads(b"[%b]" % b",".join(lines))  # a third of the time of one by one
        except ValueError:
            return list(_until_damaged(lines))

    def step(self) -> int:
        """Optimizer steps that the folder shows, for progress."""
        rows = self.rows()
        return int(rows[-1]["step"]) if rows else 0

    def start(self, run: Run) -> tuple[dict[str, Any] | None, str]:
        """Prepare for training: return (checkpoint to go on from or None, what was amiss).

        Anything that is not as this program left it is set aside, never deleted, and the run
        begins anew.
        """
        amiss = ""
        try:
            state = self._resume(run)
        except _DamagedError as damage:
            amiss, state = str(damage), None
            self.set_aside()
        sweep(self.path)
        # Rows after the checkpoint will be written again, the same.
        with naming(self.metrics), self.metrics.open("ab") as file:
            file.truncate(state["metrics_bytes"] if state else 0)
        replace_json(self.spec, run)
        return state, amiss

    def append(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add rows to metrics.jsonl durably; return its size in bytes."""
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        with naming(self.metrics), self.metrics.open("ab") as file:
            file.write(text.encode())
            sync(file)
            return file.tell()

    def save(self, state: Mapping[str, Any], group: ProcessGroup = SINGLE) -> None:
        """Replace the checkpoint; a kill at any moment leaves the old one or the new one.

        What the others of a group saved counts from the moment that the leader's file is there.
        """
        step = state["progress"]["step"]
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        if group.is_main:
            group.wait()
            replace(self.checkpoint, buffer.getvalue())
            return
        replace(self._part(group.rank, step), buffer.getvalue())
        group.wait()
        # The last one before this step is what the leader's file goes with until it is replaced.
        before = [each for each in self._parts(group.rank) if _step_of(each) < step]
        for part in sorted(before, key=_step_of)[:-1]:
            part.unlink(missing_ok=True)

    def saved_part(self, rank: int, step: int) -> dict[str, Any] | None:
        """What another process than the leader saved at that step; None if it cannot be read."""
        try:
            return _loaded(self._part(rank, step))
        except _UNREADABLE:
            return None

    def set_aside(self) -> None:
        """Keep what is damaged under another name; the run begins anew."""
        number = 1 + len(list(self.path.glob("aside-*")))
        aside = self.path / f"aside-{number}"
        aside.mkdir()
        for path in (self.spec, self.metrics, self.outcome, *self.path.glob("checkpoint*.pt")):
            if path.exists():
                path.rename(aside / path.name)

    def finish(self, result: Result) -> None:
        """Write the result; the run is finished from then on."""
        replace_json(self.outcome, result)
        for checkpoint in self.path.glob("checkpoint*.pt"):
            checkpoint.unlink(missing_ok=True)

    def _part(self, rank: int, step: int) -> Path:
        return self.path / f"checkpoint-{rank}-{step}.pt"

    def _parts(self, rank: int) -> Iterable[Path]:
        return self.path.glob(f"checkpoint-{rank}-*.pt")

    def _resume(self, run: Run) -> dict[str, Any] | None:
        """The checkpoint, or None when there is none; raises when the folder is damaged."""
        if self.outcome.exists():  # and yet it was not a result
            raise _DamagedError("result.json")
        try:
            if self.spec.exists() and Run.model_validate_json(self.spec.read_bytes()) != run:
                raise _DamagedError("spec.json")
        except (OSError, ValidationError):
            raise _DamagedError("spec.json") from None
        if not self.checkpoint.exists():
            return None
        try:
            state = _loaded(self.checkpoint)
            size = state["metrics_bytes"]
        except _UNREADABLE:
            raise _DamagedError("checkpoint.pt") from None
        rows = self.metrics.read_bytes() if self.metrics.exists() else b""
        if len(rows) < size or rows[size - 1 : size] != b"\n":
            raise _DamagedError("metrics.jsonl")
        return state


_UNREADABLE = (OSError, RuntimeError, KeyError, EOFError, ValueError, pickle.UnpicklingError)


def _until_damaged(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            return


def _loaded(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state


def _step_of(part: Path) -> int:
    return int(part.stem.rpartition("-")[2])


class Rows(Sequence[Mapping[str, Any]]):
    """The rows of a run, read whenever they are looked at: those of all runs may not fit in memory.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """All of them, from one reading."""
        return iter(self._folder.rows())

    def __len__(self) -> int:
        """How many there are now."""
        return len(self._folder.rows())

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        """One or some of them."""
        return self._folder.rows()[index]


class _DamagedError(Exception):
    """The named file of a run's folder is not as this program left it."""
