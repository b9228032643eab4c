"""The processes that train one run together. Usually there is one."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import torch.distributed as dist

T = TypeVar("T")


class ProcessGroup(NamedTuple):
    """One process's view of torch.distributed's default group; without one, of itself alone.

    Every method is called by all members, in the same order.

    Args:
        rank: 0 for the one that leads: it alone locks the run's folder and writes its results.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """The leader's value."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def all(self, value: bool) -> bool:
        """Whether it is true for every member."""
        if self.size == 1:
            return value
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return all(values)

    def wait(self) -> None:
        """Until everybody is here."""
        if self.size > 1:
            dist.barrier()


SINGLE = ProcessGroup()


def joined() -> ProcessGroup:
    """The default group's group.

    Its users are told by it which part of a batch is theirs.
    """
    if dist.is_available() and dist.is_initialized():
        return ProcessGroup(dist.get_rank(), dist.get_world_size())
    return SINGLE
