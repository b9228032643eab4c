"""A projection that needs a whole tensor gets it, however its rows and columns are spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ranks import checkpoints, constrained
from ranks.launch import run


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [slow("box"), "ball", "simplex"])
def test_the_points_of_a_set_may_be_spread_over_shards(name: str) -> None:
    run(constrained.fully_sharded, ranks=2, name=name, options={})


@pytest.mark.parametrize("name", [slow("box"), slow("ball"), "simplex"])
def test_or_over_the_columns_of_a_split_layer(name: str) -> None:
    run(constrained.tensor_parallel, ranks=2, name=name, options={"foreach": False})


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_the_set_is_in_the_checkpoint_of_all_ranks(before: int, after: int, tmp_path: Path) -> None:
    options = {"feasible_set": constrained.SETS["ball"]}
    settings: dict[str, Any] = {"folder": tmp_path, "options": options, "flatten": False}
    run(checkpoints.save, ranks=before, **settings)
    run(checkpoints.resume, ranks=after, **settings)
