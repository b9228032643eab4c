"""What the tests of `launch` do in every rank: here, where a rank finds it by name."""

from __future__ import annotations

import time

import torch
import torch.distributed as dist


def sums_ranks(expected: int) -> None:
    total = torch.tensor(dist.get_rank())
    dist.all_reduce(total)
    assert total.item() == expected, f"the sum is {total.item()}"


def one_fails_while_the_others_wait() -> None:
    if dist.get_rank() == 1:
        msg = "rank 1 has a reason"
        raise ValueError(msg)
    dist.barrier()


def nobody_comes_back() -> None:
    while True:
        time.sleep(0.1)
