"""What a run costs beside steps: seconds inside the optimizer, and memory at its peak."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer


class OptimizerClock:
    """Sums the wall time of `step` of some optimizers, by their hooks.

    On a GPU a step is only queued when it returns: what is counted there is the time of the host.
    """

    def __init__(self, optimizers: Iterable[Optimizer]) -> None:
        self.seconds = 0.0
        self._begun = 0.0
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(self._before)
            optimizer.register_step_post_hook(self._after)

    def _before(self, *_: Any) -> None:
        self._begun = time.perf_counter()

    def _after(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._begun


def reset_peak_memory() -> None:
    """Forget the peak until now, as far as the system lets us."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: VmHWM begins anew
    except OSError:
        return


def peak_memory() -> int:
    """Most bytes since `reset_peak_memory`: of the GPU's allocator if there is one, else resident.

    Resident memory is the whole worker's, its libraries and data included. 0 where it is unknown.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0  # not Linux: unknown
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
