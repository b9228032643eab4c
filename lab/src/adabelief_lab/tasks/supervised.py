"""The common task: one model, one optimizer, examples and their targets in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from adabelief_lab.common.rng import generator
from adabelief_lab.declare.workload import Metric, Split
from adabelief_lab.tasks.single_model import (
    Loss,
    Precision,
    SingleModelTask,
    check_integer,
    preserve_train_mode,
)

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


class Supervised(SingleModelTask):
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
        precision: Precision = "float32",
        clip_norm: float | None = None,
        accumulate: int = 1,
        ema: float | None = None,
    ) -> None:
        super().__init__(
            model,
            batch_size=batch_size,
            loss=loss,
            precision=precision,
            clip_norm=clip_norm,
            accumulate=accumulate,
            ema=ema,
        )
        for name, pair in (("train", train), ("valid", valid), ("test", test)):
            _check_pair(name, pair)
        if evaluate is None:
            for name, (_, targets) in (("valid", valid), ("test", test)):
                _check_classes(name, targets)
        check_integer("batch_size", batch_size, low=1, high=len(train[0]))
        check_integer("data_seed", data_seed, low=0)
        self._train = train
        self._splits: dict[Split, tuple[Tensor, Tensor]] = {"valid": valid, "test": test}
        self._data_seed = data_seed
        self._evaluate = evaluate or self._accuracy_and_loss
        self._augment = augment
        self._prepare = prepare or _as_they_are
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in the training data."""
        return len(self._train[0]) // self._batch_size

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of training batch `index` (0, 1, ...), augmented and prepared."""
        epoch, place = divmod(index, self.batches_per_epoch)
        if epoch != self._epoch:
            order = generator(self._data_seed, _ORDER, epoch)
            self._order = torch.randperm(len(self._train[0]), generator=order)
            self._epoch = epoch
        chosen = self._order[place * self._batch_size : (place + 1) * self._batch_size]
        inputs, targets = (tensor[chosen.to(tensor.device)] for tensor in self._train)
        if self._augment is not None:
            inputs = self._augment(inputs, generator(self._data_seed, _AUGMENT, index))
        mine = slice(self._group.rank, None, self._group.size)
        return self._prepare(inputs[mine]), targets[mine]

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Metrics of the model in evaluation mode on the whole of `split`."""
        if split not in self._splits:
            msg = f"split must be one of {sorted(self._splits)}, got {split!r}"
            raise ValueError(msg)
        inputs, targets = self._splits[split]
        model = self._evaluated
        with preserve_train_mode(model), torch.inference_mode():
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
