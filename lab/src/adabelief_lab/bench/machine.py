"""The machine that the numbers are of: processor, caches, memory, versions, load."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

# The distributions that candidates come from.
PACKAGES = ("torch", "adabelief-pytorch", "timm", "pytorch_optimizer")
CPU = Path("/sys/devices/system/cpu/cpu0/cache")


def machine() -> dict[str, Any]:
    """Facts that may change a time, as far as the system tells them."""
    memory = proc_bytes("meminfo", "MemTotal")
    return {
        "cores": cores(),
        "memory_gib": None if memory is None else round(memory / 2**30, 1),
        "caches": dict(_caches()),
        "instructions": {"torch": torch.backends.cpu.get_cpu_capability(), "adabelief": _isa()},
        "huge_pages": _huge_pages(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": dict(_versions()),
    }


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float | None:
    """The machine's load average of the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def free_memory() -> float:
    """Bytes that can be used without swapping; infinite where the system does not tell."""
    free = proc_bytes("meminfo", "MemAvailable")
    return float("inf") if free is None else float(free)


def _isa() -> str | None:
    """The instruction set that our kernel chose; None without the kernel."""
    try:
        return importlib.import_module("adabelief.kernels._cpu").isa()
    except ImportError:
        return None


def proc_bytes(file: str, key: str) -> int | None:
    """A size from one of Linux's accounts, such as `VmRSS` of "self/status"; None elsewhere."""
    try:
        lines = (Path("/proc") / file).read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)


def _caches() -> Iterator[tuple[str, str]]:
    for index in sorted(CPU.glob("index*")):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            yield f"L{level}", size


def _huge_pages() -> str | None:
    """Whether large arrays begin on huge pages, which puts all at the same offset in the cache."""
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return None
    return text.partition("[")[2].partition("]")[0] or None


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
