"""Examples that worker processes read: the same batches whoever reads, and after a kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adabelief_lab.common import num_workers
from adabelief_lab.common.errors import LabError
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.common.rng import capture
from adabelief_lab.tasks.streaming import StreamingLoader, in_order
from processes import wait_until

N, BATCH = 23, 4
# Python 3.12 warns of forking where there are threads; the DataLoader's readers run none of them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class Drawn:
    """Example i: i, who read it, and a draw of each of the three global generators."""

    def __init__(self, n: int = N, broken: int | None = None) -> None:
        self.n, self.broken = n, broken

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == self.broken:
            msg = f"example {index} cannot be read"
            raise LabError(msg)
        drawn = (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002
        return torch.tensor([index, os.getpid(), *drawn], dtype=torch.float64), index


def stream(
    seed: int = 0, count: int = 0, group: ProcessGroup = SINGLE, **changes: int
) -> StreamingLoader:
    made = StreamingLoader(Drawn(**changes), BATCH, seed, num_workers=count)
    made.share(group)
    return made


def numbers(one: StreamingLoader, index: int) -> Tensor:
    """What must not depend on the reader: all but its process."""
    inputs, targets = one[index]
    assert torch.equal(inputs[:, 0].long(), targets)
    return inputs[:, [0, 2, 3, 4]]


def who(one: StreamingLoader, index: int) -> set[int]:
    return {int(pid) for pid in one[index][0][:, 1]}


@pytest.fixture(scope="module")
def straight() -> list[Tensor]:
    """Fourteen batches, which are almost three epochs."""
    one = stream()
    return [numbers(one, index) for index in range(14)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_batch_depends_on_seed_and_index_only(count: int, straight: list[Tensor]) -> None:
    one = stream(count=count)
    torch.manual_seed(count)
    for index in (*range(14), 6, 7, 13, 2, 2):
        assert torch.equal(numbers(one, index), straight[index]), index
    for first in (3, 5, 9):
        other = stream(count=count)
        assert torch.equal(numbers(other, first), straight[first])
        assert torch.equal(numbers(other, first + 1), straight[first + 1])


def test_an_epoch_has_every_example_at_most_once(straight: list[Tensor]) -> None:
    assert stream().per_epoch == 5
    for epoch in (straight[:5], straight[5:10]):
        examples = torch.cat(epoch)[:, 0]
        assert len(examples.unique()) == len(examples) == 20
    whole = stream(n=20)
    assert sorted(torch.cat([numbers(whole, i) for i in range(5)])[:, 0]) == list(range(20))


def test_epochs_and_seeds_differ_in_order_and_in_what_is_drawn(straight: list[Tensor]) -> None:
    other = torch.cat([numbers(stream(1), index) for index in range(5)])
    first, second = torch.cat(straight[:5]), torch.cat(straight[5:10])
    for one, two in ((first, second), (first, other), (second, other)):
        assert not torch.equal(one[:, 0], two[:, 0])
        assert not set(one[:, 1:].flatten().tolist()) & set(two[:, 1:].flatten().tolist())
    assert len(first[:, 1:].unique()) == 60, "no two examples draw the same"


@pytest.mark.parametrize("count", [0, 2])
def test_the_global_generators_are_left_alone(count: int) -> None:
    before = capture()
    stream(count=count)[0]
    list(in_order(Drawn(), 5, SINGLE, num_workers=count))
    after = capture()
    assert torch.equal(before.pop("torch"), after.pop("torch"))
    assert str(before) == str(after)


@pytest.mark.parametrize("count", [0, 2])
def test_members_read_their_parts_of_the_same_batches(count: int, straight: list[Tensor]) -> None:
    parts = [stream(group=ProcessGroup(rank, 2), count=count) for rank in (0, 1)]
    for index in (0, 1, 7):
        found = torch.stack([numbers(part, index) for part in parts], dim=1).flatten(0, 1)
        assert torch.equal(found, straight[index])


def test_readers_stay_while_batches_go_on_and_end_with_the_stream() -> None:
    one = stream(count=2)
    first = who(one, 0) | who(one, 1)
    assert len(first) == 2
    assert os.getpid() not in first
    assert {pid for index in range(2, 12) for pid in who(one, index)} == first
    list(in_order(Drawn(), 5, SINGLE, num_workers=2))  # as an evaluation does
    assert who(one, 12) <= first
    second = who(one, 3)
    assert not second & first, "another batch than the next: read anew"
    assert not any(alive(pid) for pid in first)
    del one
    wait_until(lambda: not any(alive(pid) for pid in second), 10)


def test_readers_end_when_their_process_is_killed() -> None:
    code = (
        "import sys, time; from test_streaming import stream, who; one = stream(count=2);"
        "print(*who(one, 0), *who(one, 1), flush=True); time.sleep(100)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    wait_until(lambda: not any(alive(pid) for pid in pids), 30)


@pytest.mark.parametrize("count", [0, 1])
def test_what_cannot_be_read_is_told_in_the_words_of_who_read_it(count: int) -> None:
    one = stream(count=count, broken=0)
    whole = stream()
    bad = next(i for i in range(5) if 0 in numbers(whole, i)[:, 0])
    with pytest.raises(LabError, match=r"^example 0 cannot be read$"):
        one[bad]
    assert torch.equal(numbers(one, 11), numbers(whole, 11)), "it goes on elsewhere"


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_in_order_everybody_reads_every_example_once(count: int, size: int) -> None:
    members = [
        [
            targets.tolist()
            for _, targets in in_order(Drawn(), 5, ProcessGroup(rank, size), num_workers=count)
        ]
        for rank in range(size)
    ]
    assert sorted(sum(sum(members, []), [])) == list(range(N))  # noqa: RUF017
    assert len({len(parts) for parts in members}) == 1, "collectives need equally many"
    assert all(0 < len(part) <= 5 for parts in members for part in parts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((24, 0, 0), r"batch_size must be in \[1, 23\], got 24"),
        ((4, -1, 0), "data_seed must be at least 0, got -1"),
        ((4, 0, -1), "num_workers must be at least 0, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: tuple[int, int, int], message: str) -> None:
    size, seed, count = arguments
    with pytest.raises(ValueError, match=message):
        StreamingLoader(Drawn(), size, seed, num_workers=count)


def test_the_users_word_on_readers_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(num_workers.VARIABLE, raising=False)
    assert num_workers.num_workers() == os.cpu_count()
    monkeypatch.setenv(num_workers.VARIABLE, "0")
    num_workers.set_num_workers(3)
    assert num_workers.num_workers() == 0
    monkeypatch.delenv(num_workers.VARIABLE)
    num_workers.set_num_workers(3)
    assert num_workers.num_workers() == 3
    monkeypatch.setenv(num_workers.VARIABLE, "two")
    with pytest.raises(
        LabError, match=r"ADABELIEF_NUM_WORKERS must be a number of processes.*'two'"
    ):
        num_workers.num_workers()


def alive(pid: int) -> bool:
    """Whether it runs; what has ended and nobody has asked about does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
