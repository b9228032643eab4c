"""The task of a data set that does not fit in memory: a classifier whose examples are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.common.rng import apart, derived, generator
from adabelief_lab.declare.workload import Parallel, Split
from adabelief_lab.tasks.single_model import (
    Precision,
    SingleModelTask,
    check_integer,
    preserve_train_mode,
)

# Streams of random numbers that one data seed gives.
_ORDER, _ITEMS = 0, 1

# A run's process was spawned, and would spawn: seconds for each reader, at each evaluation. And
# those of a fork server never see that the run's process is dead: it is not their parent.
_START = "fork" if sys.platform == "linux" else "spawn"

Pair = tuple[Tensor, Tensor]
# Which time through the examples, and which of them.
Key = tuple[int, int]


class Examples(Protocol):
    """Pairs (input, class number) by number; reading one may draw random numbers."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> tuple[Tensor, int]:
        """Read one.

        Raises:
            LabError: it cannot be read; whoever wants the batch gets the same error.
        """


class StreamingLoader:
    """Batch `index` (0, 1, ...) as a pure function of the data seed and the index.

    Each epoch is a fresh permutation of the examples; what is left of it after the last whole batch
    is not used. What an example draws from the global generators of Python, NumPy and torch depends
    on the data seed, the epoch and the example only: how many processes read, which of them reads
    what, and what they read before make no number.

    Readers start at the batch that is asked for and go on in order, ahead of who asks; another
    batch than the next starts them anew. They end with this object, and within seconds of this
    process, however that ends (the DataLoader's watchdog).

    Args:
        examples: what is read; picklable where processes are spawned.
        batch_size: examples a batch, of all processes of the group together.
        data_seed: of order and random numbers.
        num_workers: processes that read for the whole group, at least one for each member; 0 reads
            in the member itself.
        pinned: whether batches are put where a GPU fetches them faster.

    Raises:
        TypeError: a number of the wrong kind.
        ValueError: a number out of range.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        data_seed: int,
        *,
        num_workers: int = 0,
        pinned: bool = False,
    ) -> None:
        check_integer("batch_size", batch_size, low=1, high=len(examples))
        check_integer("data_seed", data_seed, low=0)
        check_integer("num_workers", num_workers, low=0)
        self._items = _Items(examples, data_seed)
        self._n, self._batch_size, self._data_seed = len(examples), batch_size, data_seed
        self._num_workers, self._pinned = num_workers, pinned
        self._group = SINGLE
        self._next = -1
        self._batches: Iterator[Pair] = iter(())

    @property
    def per_epoch(self) -> int:
        """Whole batches in the examples."""
        return self._n // self._batch_size

    def share(self, group: ProcessGroup) -> None:
        """From now on read this member's part of every batch only."""
        self._group, self._next = group, -1

    def __getitem__(self, index: int) -> Pair:
        """Inputs and class numbers of batch `index`, or of this member's part of it.

        Raises:
            LabError: one of its examples cannot be read.
        """
        if index != self._next:
            # Nothing here may know this object: in a cycle, readers would end when it is found.
            keys = _shuffled(self._n, self._batch_size, self._data_seed, index, self._group)
            num_workers = _each(self._num_workers, self._group)
            self._batches = _read(self._items, keys, num_workers, pinned=self._pinned)
        self._next = -1  # of whatever fails, nothing goes on
        batch = next(self._batches)
        self._next = index + 1
        return batch


def _shuffled(
    n: int, batch_size: int, data_seed: int, first: int, group: ProcessGroup
) -> Iterator[list[Key]]:
    """What batch `first` and those after it are made of, without end."""
    per_epoch = n // batch_size
    epoch, place = divmod(first, per_epoch)
    while True:
        order = torch.randperm(n, generator=generator(data_seed, _ORDER, epoch))
        for chosen in order.split(batch_size)[place:per_epoch]:
            yield [(epoch, example) for example in chosen[group.rank :: group.size].tolist()]
        epoch, place = epoch + 1, 0


def in_order(
    examples: Examples,
    at_once: int,
    group: ProcessGroup,
    *,
    num_workers: int = 0,
    pinned: bool = False,
) -> Iterator[Pair]:
    """Every example once, in batches of at most `at_once`; of several processes, each its part.

    All members get equally many batches, none of them empty if there is an example for everybody.
    """
    mine = np.arange(group.rank, len(examples), group.size)
    count = -(-len(examples) // (group.size * at_once))
    keys = ([(0, int(i)) for i in part] for part in np.array_split(mine, count))
    return _read(_Items(examples, 0), keys, _each(num_workers, group), pinned=pinned)


class _Items(Dataset[tuple[Tensor, int]]):
    """Examples by key, each with random numbers of its own."""

    def __init__(self, examples: Examples, data_seed: int) -> None:
        self._examples, self._data_seed = examples, data_seed

    def __getitems__(self, keys: list[Key]) -> list[tuple[Tensor, int]] | LabError:
        """All of a batch. An error is returned: raised, it would come with a traceback in it."""
        try:
            return [self._item(epoch, example) for epoch, example in keys]
        except LabError as error:
            return error

    def _item(self, epoch: int, example: int) -> tuple[Tensor, int]:
        # Augmentations of torchvision know the global generators only; a reader's own state would
        # depend on what it read before.
        with apart(derived(self._data_seed, _ITEMS, epoch, example)):
            return self._examples[example]


def _each(num_workers: int, group: ProcessGroup) -> int:
    """Readers of one member, who needs one if anybody has one."""
    return max(1, num_workers // group.size) if num_workers else 0


def _read(
    items: _Items, keys: Iterable[list[Key]], num_workers: int, *, pinned: bool
) -> Iterator[Pair]:
    loader: DataLoader[Any] = DataLoader(
        items,
        batch_sampler=keys,
        num_workers=num_workers,
        collate_fn=_together,
        multiprocessing_context=_START if num_workers else None,
        pin_memory=pinned,
        generator=torch.Generator(),  # without it, it draws from the global one
    )
    for batch in loader:
        if isinstance(batch, LabError):
            raise batch
        inputs, targets = batch
        yield inputs, targets


def _together(items: list[tuple[Tensor, int]] | LabError) -> Any:
    return items if isinstance(items, LabError) else default_collate(items)


_EVALUATION_BATCH = 100


class StreamingClassifier(SingleModelTask):
    """A classifier trained on examples that are read when they are needed.

    Of several processes each reads its part, of evaluations too; the first one's batch statistics
    are evaluated. Metrics are `CLASSIFICATION`'s.

    Args:
        model: called with a batch of inputs; it stays on the device it is given on.
        train: examples to train on; see `StreamingLoader` for their order and their random numbers.
        valid: examples for the evaluations that tune.
        test: examples for final runs only.
        batch_size: training examples a step, of all processes together.
        data_seed: order of the training data, and whatever reading an example draws.
        prepare: `inputs -> inputs`, applied to every batch before the model: puts bytes on the
            model's device and turns them into numbers.
        precision: "float32", or "bfloat16" for outputs and losses under torch.autocast.
        num_workers: processes that read, see `StreamingLoader`; numbers do not depend on it.

    Raises:
        TypeError: the model or a number is of the wrong kind.
        ValueError: a number is out of range, or a split is empty.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        train: Examples,
        valid: Examples,
        test: Examples,
        batch_size: int,
        data_seed: int,
        prepare: Callable[[Tensor], Tensor],
        precision: Precision = "float32",
        num_workers: int = 0,
    ) -> None:
        super().__init__(model, batch_size=batch_size, precision=precision)
        for name, split in (("train", train), ("valid", valid), ("test", test)):
            if not len(split):
                msg = f"{name} needs at least 1 example, got none"
                raise ValueError(msg)
        self._pinned = next(model.parameters()).is_cuda
        self._stream = StreamingLoader(
            train, batch_size, data_seed, num_workers=num_workers, pinned=self._pinned
        )
        self._splits: dict[Split, Examples] = {"valid": valid, "test": test}
        self._prepare, self._num_workers = prepare, num_workers

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in the training data."""
        return self._stream.per_epoch

    def parallelize(self, parallel: Parallel) -> None:
        """See `SingleModelTask.parallelize`; only this process's part is read."""
        super().parallelize(parallel)
        self._stream.share(self._group)

    def refuses(self, processes: int, parallel: Parallel) -> str:
        """Unequal parts of a batch, and a process without a part of an evaluation."""
        for name, split in self._splits.items():
            if len(split) < processes:
                return (
                    f"{name} must have an example for each of the {processes} processes, "
                    f"got {len(split)}"
                )
        return super().refuses(processes, parallel)

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of training batch `index` (0, 1, ...), ready for the model."""
        return self._ready(*self._stream[index])

    def _ready(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        prepared = self._prepare(inputs)
        return prepared, targets.to(prepared.device, non_blocking=True)

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Metrics of the model in evaluation mode on the whole of `split`, read in parts."""
        if split not in self._splits:
            msg = f"split must be one of {sorted(self._splits)}, got {split!r}"
            raise ValueError(msg)
        examples, model = self._splits[split], self._evaluated
        parts = in_order(
            examples,
            _EVALUATION_BATCH,
            self._group,
            num_workers=self._num_workers,
            pinned=self._pinned,
        )
        with preserve_train_mode(model), torch.no_grad(), _leaders(model.buffers(), self._group):
            model.eval()
            total = sum(self._sums(model, *self._ready(*part)) for part in parts)
            assert isinstance(total, Tensor)
            if self._group.size > 1:
                dist.all_reduce(total)
        correct, loss = (total / len(examples)).tolist()
        return {"accuracy": correct, "loss": loss}

    def _sums(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Right answers, and the sum of losses; float64 (2,)."""
        with self._precision(inputs):
            outputs = model(inputs)
        if self._half:
            outputs = outputs.float()
        correct = (outputs.argmax(dim=1) == targets).sum()
        return torch.stack([correct.double(), self._loss(outputs, targets).double() * len(targets)])


@contextmanager
def _leaders(buffers: Iterable[Tensor], group: ProcessGroup) -> Iterator[None]:
    """Within, everybody has the first one's: each process's batch statistics are of its part."""
    mine = [(buffer, buffer.clone()) for buffer in buffers] if group.size > 1 else []
    for buffer, _ in mine:
        dist.broadcast(buffer, src=0)
    try:
        yield
    finally:
        for buffer, before in mine:
            buffer.copy_(before)
