"""Memory: the bytes of an optimizer's state, and what a fresh process tells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from adabelief_lab.bench import memory
from adabelief_lab.bench.candidates import CANDIDATES, why_not
from adabelief_lab.bench.models import equal

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells")


def stepped(*shapes: tuple[int, ...]) -> torch.optim.Adam:
    params = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer = torch.optim.Adam(params)
    optimizer.step()
    return optimizer


def test_all_tensors_of_the_state_count_once() -> None:
    # exp_avg and exp_avg_sq of 4 bytes per parameter, a step count of 4 bytes per tensor.
    optimizer = stepped((3, 5), (7,))
    assert memory.state_bytes(optimizer) == 8 * (15 + 7) + 4 * 2
    state = optimizer.state[optimizer.param_groups[0]["params"][0]]
    state["alias"] = state["exp_avg"]
    state["view"] = state["exp_avg"][0]
    state["number"] = 3
    assert memory.state_bytes(optimizer) == 184, "the same memory"
    state["nested"] = {"inside": [torch.ones(2, dtype=torch.bfloat16)]}
    assert memory.state_bytes(optimizer) == 188
    state["part"] = torch.ones(100)[:1]
    assert memory.state_bytes(optimizer) == 588, "a view keeps all of its storage"


def test_an_optimizer_that_has_not_stepped_has_no_state() -> None:
    assert memory.state_bytes(torch.optim.Adam([nn.Parameter(torch.ones(3))])) == 0


# Bytes of state for 100,000 parameters in two tensors; step counts are 4 bytes each. 50,000
# elements are 196 blocks of 256 (the last is short), with an exponent of one byte each.
STATE = {
    "adam-fused": 800_008,
    "loop": 800_008,
    "fused": 800_008,
    "bf16-state": 400_008,
    "8bit-state": 300_000 + 2 * 196 + 8,
    "bf16-split": 600_008,
    "bf16-stochastic": 400_008,
}


@pytest.mark.parametrize("name", STATE)
def test_bytes_of_state(name: str) -> None:
    reason = why_not(CANDIDATES[name])
    if reason:
        pytest.skip(reason)  # the candidate is not installed, or not built
    assert memory.measure(name, equal(2, 50_000)).state == STATE[name]


@linux
def test_the_peak_has_room_for_the_state_of_half_precision_too() -> None:
    name, shape = "bf16-split", equal(1, 4_000_000)
    reason = why_not(CANDIDATES[name])
    if reason:
        pytest.skip(reason)  # the candidate is not installed, or not built
    found = memory.in_child(name, shape)
    assert found.before is not None
    assert found.peak is not None
    assert found.peak - found.before >= 0.95 * found.state


@linux
def test_the_peak_of_a_fresh_process_shows_state_and_temporary_arrays() -> None:
    # 40 MB an array: from 32 MB on a freed one goes back to the system at once.
    shape = equal(1, 10_000_000)
    single = memory.in_child("adam-single", shape)
    assert single.state == 80_000_004
    assert single.peak_per_parameter is not None
    # Two arrays of state, and at least one more for the denominator, of 4 bytes per parameter.
    assert 12 <= single.peak_per_parameter < 24


@linux
def test_what_was_used_before_is_forgotten() -> None:
    """In a fresh process: a large one has holes in its heap that 8 MB fit into."""
    code = (
        "import torch\n"
        "from adabelief_lab.bench import memory\n"
        "from adabelief_lab.bench.models import equal\n"
        "torch.ones(100_000_000).sum()\n"  # 400 MB, freed
        "print(memory.measure('adam-fused', equal(1, 1_000_000)).model_dump_json())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert 8_000_000 <= found["peak"] - found["before"] < 100_000_000


def test_a_child_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"nobody's memory failed: KeyError: 'nobody'"):
        memory.in_child("nobody", equal(1, 1))
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match="timm's memory failed: code 1"):
        memory.in_child("timm", equal(1, 1))


def test_the_ceiling_has_no_state() -> None:
    reason = why_not(CANDIDATES["ceiling"])
    if reason:
        pytest.skip(reason)  # the candidate is not installed, or not built
    with pytest.raises(TypeError, match="ceiling is no optimizer"):
        memory.measure("ceiling", equal(1, 4))
