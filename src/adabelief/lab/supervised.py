"""The common task: one model, one optimizer, examples and their targets in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from adabelief.lab.modes import modes_kept
from adabelief.lab.random_state import derived
from adabelief.lab.team import ALONE, Team, joined
from adabelief.lab.workload import Metric, Parallel, Split, Task

Loss = Callable[[Tensor, Tensor], Tensor]
Evaluate = Callable[[Tensor, Tensor], Mapping[str, float]]
Augment = Callable[[Tensor, torch.Generator], Tensor]
Prepare = Callable[[Tensor], Tensor]

CLASSIFICATION = (
    Metric(name="accuracy", direction="max", percent=True),
    Metric(name="loss", direction="min"),
)

# Streams of random numbers that one data seed gives.
_ORDER, _AUGMENT = 0, 1
_EVALUATION_BATCH = 500


def generator(seed: int, *path: int) -> torch.Generator:
    """A generator that depends on `seed` and `path` only, and is unrelated for other values."""
    return torch.Generator().manual_seed(derived(seed, *path))


class Supervised(Task):
    """One model trained on pairs (input, target) that fit in memory.

    Batch `index` is a pure function of `data_seed` and `index`: each epoch is a fresh permutation
    of the training data, and what is left of it after the last whole batch is not used.
    Model and tensors stay on the device they are given on.

    Args:
        model: called with a batch of inputs.
        train: inputs and targets to train on; first dimensions agree.
        valid: inputs and targets for the evaluations that tune.
        test: inputs and targets for final runs only.
        batch_size: training examples a step.
        data_seed: order of the training data, and whatever `augment` draws.
        loss: `(outputs, targets) -> scalar`, a mean over the batch.
        evaluate: `(outputs, targets) -> metrics`, called once with a whole split; without it
            the metrics are `CLASSIFICATION`'s "accuracy" and "loss".
        augment: `(inputs, generator) -> inputs`, applied to training batches; it must draw from
            that generator only, or a resumed run differs from an uninterrupted one.
        prepare: `inputs -> inputs`, applied to every batch before the model, after `augment`: what
            turns bytes into numbers, so that data may be kept as bytes.
        precision: "bfloat16" computes outputs and losses under torch.autocast; weights, gradients
            and optimizers stay float32.
        clip_norm: largest norm of all gradients together (torch.nn.utils.clip_grad_norm_).
        accumulate: batches whose mean gradient makes one step.
        ema: decay of an exponential mean of the weights, which is then what is evaluated.

    Raises:
        TypeError: `model` or data of the wrong kind.
        ValueError: sizes that do not match, or a number out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        train: tuple[Tensor, Tensor],
        valid: tuple[Tensor, Tensor],
        test: tuple[Tensor, Tensor],
        batch_size: int,
        data_seed: int,
        loss: Loss = nn.functional.cross_entropy,
        evaluate: Evaluate | None = None,
        augment: Augment | None = None,
        prepare: Prepare | None = None,
        precision: Literal["float32", "bfloat16"] = "float32",
        clip_norm: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            msg = f"model must be a torch.nn.Module, got {type(model).__name__}"
            raise TypeError(msg)
        for name, pair in (("train", train), ("valid", valid), ("test", test)):
            _check_pair(name, pair)
        if evaluate is None:
            for name, (_, targets) in (("valid", valid), ("test", test)):
                _check_classes(name, targets)
        _check_integer("batch_size", batch_size, low=1, high=len(train[0]))
        _check_integer("data_seed", data_seed, low=0, high=None)
        _check_integer("accumulate", accumulate, low=1, high=None)
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
        self._train = train
        self._splits: dict[Split, tuple[Tensor, Tensor]] = {"valid": valid, "test": test}
        self._batch_size = batch_size
        self._data_seed = data_seed
        self._loss = loss
        self._evaluate = evaluate or self._accuracy_and_loss
        self._augment = augment
        self._prepare = prepare or _as_they_are
        self._half = precision == "bfloat16"
        self._clip_norm = clip_norm
        self._accumulate = accumulate
        self._average = ema if ema is None else _averaged(model, ema)
        self._team: Team = ALONE
        self._called: nn.Module = model
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in the training data."""
        return len(self._train[0]) // self._batch_size

    def parallelize(self, parallel: Parallel) -> None:
        """Give each process an equal part of every batch: together they see what one would see.

        Batch normalisation sees its part only. With "fsdp" the model is one group of shards.

        Raises:
            ValueError: see `refuses`.
        """
        team, model = joined(), self.modules["model"]
        if reason := self.refuses(team.size, parallel):
            raise ValueError(reason)
        if parallel == "fsdp":
            from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415, slow
            from torch.distributed.fsdp import fully_shard  # noqa: PLC0415, slow to import

            model.to(memory_format=torch.contiguous_format)  # FSDP2 refuses any other
            kind = next(model.parameters()).device.type
            fully_shard(model, mesh=init_device_mesh(kind, (team.size,)))
        else:
            self._called = DistributedDataParallel(model)
        self._team = team

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

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of training batch `index` (0, 1, ...), augmented and prepared.

        Of several processes, each gets its part.
        """
        epoch, place = divmod(index, self.batches_per_epoch)
        if epoch != self._epoch:
            order = generator(self._data_seed, _ORDER, epoch)
            self._order = torch.randperm(len(self._train[0]), generator=order)
            self._epoch = epoch
        chosen = self._order[place * self._batch_size : (place + 1) * self._batch_size]
        inputs, targets = (tensor[chosen.to(tensor.device)] for tensor in self._train)
        if self._augment is not None:
            inputs = self._augment(inputs, generator(self._data_seed, _AUGMENT, index))
        mine = slice(self._team.rank, None, self._team.size)
        return self._prepare(inputs[mine]), targets[mine]

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        """Take optimizer step `index` on the next batch or batches; return their mean "loss"."""
        model = self.modules["model"]
        optimizers["model"].zero_grad(set_to_none=True)
        total: Tensor | None = None
        for part in range(self._accumulate):
            inputs, targets = self.batch(index * self._accumulate + part)
            with self._precision(inputs):
                loss = self._loss(self._called(inputs), targets) / self._accumulate
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self._clip_norm)
        optimizers["model"].step()
        if self._average is not None:
            self._average.update_parameters(model)
        assert total is not None
        if self._team.size > 1:
            dist.all_reduce(total)
            total /= self._team.size
        return {"loss": total}

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights, if there are any."""
        return {} if self._average is None else {"average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def _precision(self, inputs: Tensor) -> torch.autocast:
        return torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._half)

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Metrics of the model in evaluation mode on the whole of `split`."""
        if split not in self._splits:
            msg = f"split must be one of {sorted(self._splits)}, got {split!r}"
            raise ValueError(msg)
        inputs, targets = self._splits[split]
        model = self.modules["model"] if self._average is None else self._average
        with modes_kept(model), torch.inference_mode():
            model.eval()
            with self._precision(inputs):
                parts = [
                    model(self._prepare(batch)) for batch in torch.split(inputs, _EVALUATION_BATCH)
                ]
            outputs = torch.cat(parts)
            return self._evaluate(outputs.float() if self._half else outputs, targets)

    def _accuracy_and_loss(self, outputs: Tensor, targets: Tensor) -> Mapping[str, float]:
        correct = (outputs.argmax(dim=1) == targets).sum().item()
        return {
            "accuracy": correct / len(targets),
            "loss": self._loss(outputs, targets).item(),
        }


def _as_they_are(inputs: Tensor) -> Tensor:
    return inputs


def _averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model, buffers included, that follows it."""
    follow = get_ema_multi_avg_fn(decay)
    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)


def _check_pair(name: str, pair: Any) -> None:
    if not (
        isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(x, Tensor) for x in pair)
    ):
        kind = (
            f"({', '.join(type(item).__name__ for item in pair)})"
            if isinstance(pair, tuple)
            else type(pair).__name__
        )
        msg = f"{name} must be a pair (inputs, targets) of tensors, got {kind}"
        raise TypeError(msg)
    inputs, targets = pair
    if inputs.ndim == 0 or targets.ndim == 0 or not len(inputs) == len(targets) > 0:
        msg = (
            f"{name} needs as many targets as inputs, at least 1, "
            f"got inputs of shape {tuple(inputs.shape)} and targets of shape {tuple(targets.shape)}"
        )
        raise ValueError(msg)


def _check_classes(name: str, targets: Tensor) -> None:
    if targets.ndim != 1 or targets.dtype != torch.int64:
        msg = (
            f"{name} targets must be class numbers (int64, one an example) for the default "
            f"metrics, got {targets.dtype} of shape {tuple(targets.shape)}: give evaluate="
        )
        raise ValueError(msg)


def _check_integer(name: str, value: Any, *, low: int, high: int | None) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        msg = f"{name} must be an int, got {type(value).__name__}"
        raise TypeError(msg)
    if value < low or (high is not None and value > high):
        allowed = f"in [{low}, {high}]" if high is not None else f"at least {low}"
        msg = f"{name} must be {allowed}, got {value}"
        raise ValueError(msg)
