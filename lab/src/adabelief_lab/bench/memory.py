"""Memory: bytes of an optimizer's state, and the peak of a fresh process that steps with it.

python -m adabelief_lab.bench.memory CANDIDATE SHAPE    # one JSON object on stdout
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adabelief_lab.bench.candidates import CANDIDATES, why_not
from adabelief_lab.bench.machine import proc_bytes
from adabelief_lab.bench.models import Model, model
from adabelief_lab.bench.record import MemoryUse
from adabelief_lab.bench.shared_parameters import SharedParameters

STEPS = 3


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of the storages of all tensors in the state, each counted once; steps too.

    Storages, not views: what a view holds on to is in use.
    """
    storages = {}
    for tensor in _tensors(optimizer.state):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr(), tensor.device] = storage.nbytes()
    return sum(storages.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _tensors(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _tensors(inner)


def measure(name: str, shape: Model) -> MemoryUse:
    """Bytes of state, resident memory before and at the peak, in this process.

    Only Linux tells the peak since now; elsewhere the last two are None.
    """
    candidate = CANDIDATES[name]
    reason = why_not(candidate)  # also imports what it imports
    if reason:
        raise RuntimeError(reason)
    torch.set_num_threads(1)
    shared = SharedParameters(shape, candidate.dtype)
    before = resident() if forget_peak() else None
    optimizer = candidate.make(shared.params)
    for _ in range(STEPS):
        shared.turn()
        optimizer.step()
    most = peak() if before is not None else None
    if not isinstance(optimizer, torch.optim.Optimizer):
        msg = f"{name} is no optimizer: it has no state"
        raise TypeError(msg)
    return MemoryUse(
        candidate=name,
        shape=shape.name,
        parameters=shape.parameters,
        state=state_bytes(optimizer),
        peak=most,
        before=before,
    )


def forget_peak() -> bool:
    """Let the largest resident memory start again from now; whether that is possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return proc_bytes("self/status", "VmRSS") or 0


def peak() -> int:
    """Most bytes of this process that were in memory, since `forget_peak` or its start.

    ru_maxrss would not do: a child process begins with the number of its parent.
    """
    return proc_bytes("self/status", "VmHWM") or 0


def in_child(name: str, shape: Model) -> MemoryUse:
    """`measure` in a process of its own.

    Raises:
        RuntimeError: the process failed; the message has the last line of its stderr.
    """
    child = subprocess.run(
        [sys.executable, "-m", "adabelief_lab.bench.memory", name, shape.name],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        said = child.stderr.strip().splitlines() or [f"code {child.returncode}"]
        msg = f"the process that measured {name}'s memory failed: {said[-1]}"
        raise RuntimeError(msg)
    return MemoryUse.model_validate_json(child.stdout)


if __name__ == "__main__":
    sys.stdout.write(measure(sys.argv[1], model(sys.argv[2])).model_dump_json() + "\n")
