"""Released gradients of sharded models: each process steps its part as soon as it is reduced."""

from __future__ import annotations

from typing import Any

import pytest

from ranks import released
from ranks.launch import run


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("options", [{}, {"rectify": True, "foreach": True}], ids=str)
def test_fully_sharded(options: dict[str, Any], accumulate: int) -> None:
    run(released.fully_sharded, ranks=2, options=options, accumulate=accumulate)


def test_fully_sharded_with_two_backward_passes_for_one_step() -> None:
    run(released.fully_sharded_twice, ranks=2)


def test_tensor_parallel() -> None:
    run(released.tensor_parallel, ranks=2)
