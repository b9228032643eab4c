"""What happens in a rank is seen by pytest: failures with their text, and no rank is left."""

from __future__ import annotations

import multiprocessing

import pytest

from ranks.launch import run
from ranks.launching import (
    nobody_comes_back,
    one_fails_while_the_others_wait,
    sums_ranks,
)


def test_ranks_form_one_group() -> None:
    run(sums_ranks, ranks=3, expected=3)
    with pytest.raises(AssertionError, match="the sum is 3"):
        run(sums_ranks, ranks=3, expected=4)


def test_the_reason_of_the_rank_that_failed_is_told() -> None:
    with pytest.raises(AssertionError, match="ValueError: rank 1 has a reason"):
        run(one_fails_while_the_others_wait, ranks=2)
    assert not multiprocessing.active_children()


def test_a_hanging_job_is_killed_and_shows_where_it_hung() -> None:
    with pytest.raises(AssertionError, match="still ran when the time was over") as caught:
        run(nobody_comes_back, ranks=2, seconds=6)
    assert "nobody_comes_back" in str(caught.value).partition("over")[2]
    assert not multiprocessing.active_children()
