"""The task of a data set that does not fit in memory: a classifier whose examples are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from adabelief_lab.common.process_group import ProcessGroup
from adabelief_lab.declare.workload import Parallel, Split
from adabelief_lab.tasks.modes import preserve_train_mode
from adabelief_lab.tasks.single_model import Precision, SingleModelTask
from adabelief_lab.tasks.streaming_loader import Examples, StreamingLoader, in_order

_EVALUATION_BATCH = 100


class StreamingClassifier(SingleModelTask):
    """A classifier trained on examples that are read when they are needed.

    Of several processes each reads its part, of evaluations too; the first one's batch statistics
    are evaluated. Metrics are `CLASSIFICATION`'s.

    Args:
        model: called with a batch of inputs; it stays on the device it is given on.
        train: examples to train on; see `Stream` for their order and their random numbers.
        valid: examples for the evaluations that tune.
        test: examples for final runs only.
        batch_size: training examples a step, of all processes together.
        data_seed: order of the training data, and whatever reading an example draws.
        prepare: `inputs -> inputs`, applied to every batch before the model: puts bytes on the
            model's device and turns them into numbers.
        precision: "float32", or "bfloat16" for outputs and losses under torch.autocast.
        readers: processes that read, see `Stream`; numbers do not depend on it.

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
        readers: int = 0,
    ) -> None:
        super().__init__(model, batch_size=batch_size, precision=precision)
        for name, split in (("train", train), ("valid", valid), ("test", test)):
            if not len(split):
                msg = f"{name} needs at least 1 example, got none"
                raise ValueError(msg)
        self._pinned = next(model.parameters()).is_cuda
        self._stream = StreamingLoader(
            train, batch_size, data_seed, readers=readers, pinned=self._pinned
        )
        self._splits: dict[Split, Examples] = {"valid": valid, "test": test}
        self._prepare, self._readers = prepare, readers

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in the training data."""
        return self._stream.per_epoch

    def parallelize(self, parallel: Parallel) -> None:
        """See `SingleModelTask.parallelize`; only this process's part is read."""
        super().parallelize(parallel)
        self._stream.share(self._team)

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
            examples, _EVALUATION_BATCH, self._team, readers=self._readers, pinned=self._pinned
        )
        with preserve_train_mode(model), torch.no_grad(), _leaders(model.buffers(), self._team):
            model.eval()
            total = sum(self._sums(model, *self._ready(*part)) for part in parts)
            assert isinstance(total, Tensor)
            if self._team.size > 1:
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
