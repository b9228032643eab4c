"""The truth for a framework: the same batches in a loop of torch's own, with AdaBelief."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from paths import EXAMPLES


def example(name: str) -> Any:
    """The module in `examples/`."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replay(
    model: nn.Module,
    optimizer: AdaBelief,
    losses: Sequence[Callable[[], Tensor]],
    *,
    accumulate: int = 1,
    clip: float | None = None,
    autocast: bool = False,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> None:
    """Do one update for the mean of every `accumulate` of `losses`, which run the model forward."""
    for start in range(0, len(losses), accumulate):
        optimizer.zero_grad()
        for loss in losses[start : start + accumulate]:
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                value = loss()
            torch.autograd.backward(value / accumulate)
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def assert_equal(
    got: Iterable[Tensor], optimizer: AdaBelief, truth: Iterable[Tensor], true: AdaBelief
) -> None:
    """Parameters and their state are equal bit for bit: both did the same operations."""
    assert type(optimizer) is AdaBelief
    for param, expected in zip(got, truth, strict=True):
        torch.testing.assert_close(param, expected, rtol=0, atol=0)
        state, expected_state = optimizer.state[param], true.state[expected]
        assert state.keys() == expected_state.keys()
        assert expected_state
        for key, value in expected_state.items():
            torch.testing.assert_close(state[key], value, rtol=0, atol=0)
