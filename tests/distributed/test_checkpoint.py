"""A training saved by some processes and resumed by others goes on as one that never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ranks import checkpoints
from ranks.launch import run

Options = dict[str, Any]


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("flatten", [False, slow(True)], ids=["nested", "flat"])
@pytest.mark.parametrize(("before", "after"), [(2, 1), slow(2, 4), slow(1, 2)])
def test_resume_on_another_number_of_ranks(
    before: int, after: int, flatten: bool, tmp_path: Path
) -> None:
    settings: Options = {"folder": tmp_path, "options": {"maximize": True}, "flatten": flatten}
    run(checkpoints.save, ranks=before, **settings)
    run(checkpoints.resume, ranks=after, **settings)


@pytest.mark.parametrize(("before", "after"), [(2, 2), slow(1, 2)])
def test_one_file_broadcast_from_rank_0(before: int, after: int, tmp_path: Path) -> None:
    run(checkpoints.save_whole, ranks=before, folder=tmp_path, options={})
    run(checkpoints.resume_whole, ranks=after, folder=tmp_path, options={})


COUPLED = {"weight_decay": 0.5, "decoupled_weight_decay": False}
FIXED = {"weight_decay": 0.5, "fixed_decay": True}


@pytest.mark.parametrize(
    "options", [FIXED, slow({}), slow(COUPLED), slow({"rectify": True})], ids=str
)
def test_the_template_of_a_checkpoint_moves_nothing(options: Options) -> None:
    run(checkpoints.fresh_state_is_made_without_moving, ranks=2, options=options)


def test_fixed_decay_is_right_where_the_model_is_loaded_last() -> None:
    run(checkpoints.fixed_decay_and_set_state_dict, ranks=2)


@pytest.mark.parametrize("grouped", [slow(False), True], ids=["one group", "two groups"])
@pytest.mark.parametrize("way", [slow({}), {"parameters_as_bucket_view": True}], ids=str)
def test_zero_redundancy(way: Options, grouped: bool, tmp_path: Path) -> None:
    options = {"amsgrad": True, "eps": 1e-10}
    settings: Options = {"options": options, "way": way, "grouped": grouped}
    run(checkpoints.zero_redundancy, ranks=2, folder=tmp_path, **settings)


@pytest.mark.parametrize(("before", "after"), [(2, 1), slow(2, 4)])
def test_small_state_is_resumed_on_another_number_of_ranks(
    before: int, after: int, tmp_path: Path
) -> None:
    """Random bits are numbered over the whole tensor: the other shards are rounded alike."""
    settings: Options = {"folder": tmp_path, "options": {"state_dtype": "bfloat16"}}
    run(checkpoints.save, ranks=before, flatten=False, **settings)
    run(checkpoints.resume, ranks=after, flatten=False, **settings)


def test_small_state_in_one_file(tmp_path: Path) -> None:
    options: Options = {"state_dtype": "bfloat16"}
    run(checkpoints.save_whole, ranks=2, folder=tmp_path, options=options)
    run(checkpoints.resume_whole, ranks=2, folder=tmp_path, options=options)
