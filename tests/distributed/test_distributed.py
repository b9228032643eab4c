"""Training by many processes equals training by one: after every step, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ranks import jobs
from ranks.launch import run

Options = dict[str, Any]
DECAYED = {"amsgrad": True, "weight_decay": 0.1}
CASES: list[Options] = [{}, DECAYED, {"maximize": True}]


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "way", [slow({}), {"gradient_as_bucket_view": True}, {"static_graph": True}], ids=str
)
def test_data_parallel(way: Options) -> None:
    run(jobs.data_parallel, ranks=2, ways=[way], cases=CASES)


@pytest.mark.parametrize(
    ("ranks", "foreach"),
    [(2, None), slow(2, True), slow(2, False), slow(4, None), slow(4, True), slow(4, False)],
)
def test_fully_sharded(ranks: int, foreach: bool | None) -> None:
    run(jobs.fully_sharded, ranks=ranks, cases=[{**case, "foreach": foreach} for case in CASES])


@pytest.mark.parametrize("foreach", [slow(None), True, slow(False)])
def test_fully_sharded_in_half_precision(foreach: bool | None) -> None:
    cases = [{**case, "foreach": foreach} for case in CASES]
    run(jobs.fully_sharded, ranks=2, cases=cases, dtype=torch.bfloat16)


@pytest.mark.parametrize("foreach", [None, slow(True), slow(False)])
def test_fully_sharded_with_two_groups_and_clipping(foreach: bool | None) -> None:
    run(jobs.groups_and_clipping, ranks=2, options={"foreach": foreach})


@pytest.mark.slow
def test_fully_sharded_with_mixed_precision() -> None:
    run(jobs.mixed_precision, ranks=2, options=DECAYED)


@pytest.mark.parametrize("foreach", [None, slow(True), slow(False)])
def test_sharded_after_the_optimizer_was_made(foreach: bool | None) -> None:
    run(jobs.sharded_after_construction, ranks=2, options={"foreach": foreach})


@pytest.mark.parametrize("foreach", [None, True, slow(False)])
def test_tensor_parallel_beside_whole_parameters(foreach: bool | None) -> None:
    run(jobs.tensor_parallel, ranks=2, cases=[{**case, "foreach": foreach} for case in CASES])


@pytest.mark.slow
@pytest.mark.parametrize("foreach", [None, True, False])
def test_tensor_parallel_and_fully_sharded(foreach: bool | None) -> None:
    run(jobs.two_dimensions, ranks=4, options={**DECAYED, "foreach": foreach})


@pytest.mark.slow
def test_fully_sharded_with_flat_parameters() -> None:
    run(jobs.flat_parameters, ranks=2, options=DECAYED)


def test_gradients_of_other_placements_are_brought_to_their_parameters() -> None:
    run(jobs.gradients_of_other_placements, ranks=2)


def test_small_state_and_masters_are_rounded_in_shards_as_in_the_whole() -> None:
    """Shards of rows number their random bits from where they begin in the whole tensor."""
    small: list[Options] = [
        {"state_dtype": "bfloat16"},
        {"state_dtype": "bfloat16", "fused": False},
    ]
    run(jobs.fully_sharded, ranks=2, cases=small)
    masters: list[Options] = [
        {"master_weights": "split"},
        {"master_weights": "stochastic"},
        {"master_weights": "split", "state_dtype": "bfloat16", "foreach": True},
    ]
    run(jobs.fully_sharded, ranks=2, cases=masters, dtype=torch.bfloat16)
    run(jobs.data_parallel, ranks=2, ways=[{}], cases=[{"state_dtype": "8bit"}, *small])
