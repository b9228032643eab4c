"""A task's training: one model and one optimizer, in one process or several; batches by number."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from adabelief_lab.common.process_group import SINGLE, ProcessGroup, joined
from adabelief_lab.declare.workload import Parallel, Task


@contextmanager
def preserve_train_mode(model: nn.Module) -> Iterator[None]:
    """Whatever is done within, every submodule ends in the mode that it has now."""
    before = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        # Not model.train(): it would thaw what the user keeps in evaluation mode.
        for module, mode in before.items():
            module.training = mode


Loss = Callable[[Tensor, Tensor], Tensor]
Precision = Literal["float32", "bfloat16"]


class SingleModelTask(Task):
    """One model trained on batches (inputs, targets); where they come from is the subclass's.

    Args:
        model: called with a batch of inputs; it stays on the device it is given on.
        batch_size: training examples a step, of all processes together.
        loss: `(outputs, targets) -> scalar`, a mean over the batch.
        precision: "bfloat16" computes outputs and losses under torch.autocast; weights, gradients
            and optimizers stay float32.
        clip_norm: largest norm of all gradients together (torch.nn.utils.clip_grad_norm_).
        accumulate: batches whose mean gradient makes one step.
        ema: decay of an exponential mean of the weights, which is then what is evaluated.

    Raises:
        TypeError: `model` or a number of the wrong kind.
        ValueError: a number out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        batch_size: int,
        loss: Loss = nn.functional.cross_entropy,
        precision: Precision = "float32",
        clip_norm: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            msg = f"model must be a torch.nn.Module, got {type(model).__name__}"
            raise TypeError(msg)
        check_integer("accumulate", accumulate, low=1)
        if precision not in ("float32", "bfloat16"):
            msg = f'precision must be "float32" or "bfloat16", got {precision!r}'
            raise ValueError(msg)
        if clip_norm is not None and not 0 < clip_norm < float("inf"):
            msg = f"clip_norm must be in (0, inf), got {clip_norm}"
            raise ValueError(msg)
        if ema is not None and not 0 <= ema < 1:
            msg = f"ema must be in [0, 1), got {ema}"
            raise ValueError(msg)
        self.modules = {"model": model}
        self._batch_size = batch_size
        self._loss = loss
        self._half = precision == "bfloat16"
        self._clip_norm = clip_norm
        self._accumulate = accumulate
        self._average = ema if ema is None else _averaged(model, ema)
        self._group: ProcessGroup = SINGLE
        self._called: nn.Module = model

    @abstractmethod
    def batch(self, index: int) -> tuple[Any, Any]:
        """Inputs and targets of training batch `index` (0, 1, ...), ready for the model.

        Of several processes, each gets its part.
        """

    def parallelize(self, parallel: Parallel) -> None:
        """Give each process an equal part of every batch: together they see what one would see.

        Batch normalisation sees its part only. With "fsdp" the model is one group of shards.

        Raises:
            ValueError: see `refuses`.
        """
        group, model = joined(), self.modules["model"]
        if reason := self.refuses(group.size, parallel):
            raise ValueError(reason)
        if parallel == "fsdp":
            from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415, slow
            from torch.distributed.fsdp import fully_shard  # noqa: PLC0415, slow to import

            model.to(memory_format=torch.contiguous_format)  # FSDP2 refuses any other
            kind = next(model.parameters()).device.type
            fully_shard(model, mesh=init_device_mesh(kind, (group.size,)))
        else:
            self._called = DistributedDataParallel(model)
        self._group = group

    def refuses(self, processes: int, parallel: Parallel) -> str:
        """Parts that would not be equal, and the average of sharded weights."""
        if self._batch_size % processes:
            return (
                f"batch_size must be a multiple of the {processes} processes that share a batch, "
                f"got {self._batch_size}"
            )
        if parallel == "fsdp" and self._average is not None:
            return 'ema averages whole weights, which parallel="fsdp" shards; "ddp" does not'
        return ""

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        """Take optimizer step `index` on the next batch or batches; return their mean "loss"."""
        model = self.modules["model"]
        optimizers["model"].zero_grad(set_to_none=True)
        total: Tensor | None = None
        for part in range(self._accumulate):
            loss = self._loss_of(index * self._accumulate + part) / self._accumulate
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self._clip_norm)
        optimizers["model"].step()
        if self._average is not None and self._averages(index):
            self._average.update_parameters(model)
        assert total is not None
        if self._group.size > 1:
            dist.all_reduce(total)
            total /= self._group.size
        return {"loss": total}

    def _averages(self, index: int) -> bool:
        """Whether the weights after step `index` belong to their mean."""
        del index
        return True

    def _loss_of(self, index: int) -> Tensor:
        """Of training batch `index`."""
        inputs, targets = self.batch(index)
        with self._precision(inputs):
            return self._loss(self._called(inputs), targets)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights, if there are any."""
        return {} if self._average is None else {"average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def _precision(self, inputs: Tensor) -> torch.autocast:
        return torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._half)

    @property
    def _evaluated(self) -> nn.Module:
        """The model, or the mean of its weights."""
        return self.modules["model"] if self._average is None else self._average


def _averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model, buffers included, that follows it."""
    follow = get_ema_multi_avg_fn(decay)
    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)


def check_integer(name: str, value: Any, *, low: int, high: int | None = None) -> None:
    """Refuse what is no int, or not in [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool):
        msg = f"{name} must be an int, got {type(value).__name__}"
        raise TypeError(msg)
    if value < low or (high is not None and value > high):
        allowed = f"in [{low}, {high}]" if high is not None else f"at least {low}"
        msg = f"{name} must be {allowed}, got {value}"
        raise ValueError(msg)
