"""The fast path is straight: few modules lie between `step` and the C kernel."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
import torch

from adabelief import AdaBelief
from adabelief.kernels import cpu

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.unavailable() or "")


def entered(optimizer: AdaBelief) -> list[str]:
    """Modules of this package whose functions a step runs until the kernel is called."""
    modules: list[str] = []
    arrived = False

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal arrived
        name = frame.f_globals.get("__name__", "")
        if event == "c_call" and getattr(argument, "__name__", "") == "run":
            arrived = True
        if event == "call" and not arrived and name.startswith("adabelief"):
            modules.append(name)

    sys.setprofile(note)
    try:
        optimizer.step()
    finally:
        sys.setprofile(None)
    assert arrived, "the kernel was not called"
    return list(dict.fromkeys(modules))


def test_a_step_enters_few_modules_before_the_kernel() -> None:
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(4)]
    optimizer = AdaBelief(params, state_dtype="bfloat16", weight_decay=0.1, rectify=True)
    for param in params:
        param.grad = torch.ones(3)
    optimizer.step()  # makes the state
    assert entered(optimizer) == [
        "adabelief.optimizer",
        "adabelief.step.cpu_fast_path",
        "adabelief.step.paths",
        "adabelief.kernels.cpu",
        "adabelief.step.scalars",
    ]
