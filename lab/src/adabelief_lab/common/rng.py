"""The random number generators that a training run may draw from: seeded, captured, restored."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info


def seed(value: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002, the global one is what a user's model may draw from
    torch.manual_seed(value)


def derived(seed: int, *path: int) -> int:
    """A seed that depends on `seed` and `path` only, and is unrelated for other values."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0])


def generator(seed: int, *path: int) -> torch.Generator:
    """A generator that depends on `seed` and `path` only, and is unrelated for other values."""
    return torch.Generator().manual_seed(derived(seed, *path))


@contextmanager
def apart(value: int) -> Iterator[None]:
    """Within, the global generators begin at `value`; afterwards they are as they were before."""
    before = capture()
    seed(value)
    try:
        yield
    finally:
        restore(before)


def capture() -> dict[str, Any]:
    """States of all of them, in types that `torch.load(weights_only=True)` accepts."""
    legacy: Any = np.random.get_state()  # noqa: NPY002
    name, keys, *rest = legacy
    # A forked reader of a DataLoader sees GPUs and must not touch them.
    gpus = get_worker_info() is None and torch.cuda.is_available()
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if gpus else [],
    }


def restore(state: dict[str, Any]) -> None:
    """Put back what `capture` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
