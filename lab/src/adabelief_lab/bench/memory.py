"""Memory: bytes of an optimizer's state, and the peak of a fresh process that steps with it.

python -m adabelief_lab.bench.memory CONTENDER SHAPE    # one JSON object on stdout
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adabelief_lab.bench.candidates import CONTENDERS, why_not
from adabelief_lab.bench.models import Model, model
from adabelief_lab.bench.shared_parameters import Arena

PROC = Path("/proc/self")
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


def measure(name: str, shape: Model) -> dict[str, int | None]:
    """Bytes of state, resident memory before and at the peak, in this process.

    The peak since now is Linux's to tell (`VmHWM`, after `clear_refs`); elsewhere both are None.
    ru_maxrss would not do: a child begins with that of its parent.
    """
    contender = CONTENDERS[name]
    reason = why_not(contender)  # also imports what it imports
    if reason:
        raise RuntimeError(reason)
    torch.set_num_threads(1)
    arena = Arena(shape, contender.dtype)
    before = _status("VmRSS") if _forget_peak() else None
    optimizer = contender.make(arena.params)
    for _ in range(STEPS):
        arena.turn()
        optimizer.step()
    peak = _status("VmHWM") if before is not None else None
    if not isinstance(optimizer, torch.optim.Optimizer):
        msg = f"{name} is no optimizer: it has no state"
        raise TypeError(msg)
    return {"state": state_bytes(optimizer), "before": before, "peak": peak}


def _forget_peak() -> bool:
    """Let the largest resident memory start again from now; whether that is possible."""
    try:
        (PROC / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(key: str) -> int:
    """A size in bytes from the kernel's account of this process."""
    lines = (PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def in_child(name: str, shape: Model) -> dict[str, int | None]:
    """`measure` in a process of its own.

    Raises:
        RuntimeError: it did not end well; the message is the last line it said.
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
    return json.loads(child.stdout)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], model(sys.argv[2]))) + "\n")
