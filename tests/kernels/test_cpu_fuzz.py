"""Lists of tensors that nobody would think of: the kernel's step equals torch's operations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from adabelief.kernels import cpu
from fuzzing import compare, groups

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.unavailable() or "")


@given(groups())
def test_lists_of_tensors_step_as_by_torch(spec: list[dict[str, Any]]) -> None:
    compare(spec)


@pytest.mark.slow
@settings(max_examples=3000)
@given(groups())
def test_thousands_of_lists_step_as_by_torch(spec: list[dict[str, Any]]) -> None:
    compare(spec)
