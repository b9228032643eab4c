"""A language model that carries its memory from batch to batch, on a text in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from adabelief_lab.data.words import Corpus
from adabelief_lab.declare.workload import Metric, Parallel, Split
from adabelief_lab.models.awd_lstm import AWDLSTM, Memory, Outputs
from adabelief_lab.tasks.bptt_batches import IGNORED, BPTTBatches, columns, padded_pairs
from adabelief_lab.tasks.single_model import (
    Precision,
    SingleModelTask,
    check_integer,
    preserve_train_mode,
)

PERPLEXITY = (
    Metric(name="perplexity", direction="min"),
    Metric(name="loss", direction="min", label="loss (nats a word)"),
)


class LSTMLanguageModel(SingleModelTask):
    """An LSTM that reads `batch_size` columns of a text side by side, a piece of them a step.

    The memory of a piece's end is the next one's beginning, without gradient; an epoch begins with
    an empty one. It belongs to the state of a run, so that a killed run goes on exactly. In a step
    on a shorter piece the learning rate is smaller in proportion, where lengths vary.

    Args:
        model: the network; it stays on the device it is given on.
        corpus: the text.
        batch_size: columns that training reads.
        length: words of a piece.
        data_seed: lengths of the pieces.
        varied: whether lengths vary, as in Merity et al. 2017.
        activation: weight of the mean square of the last layer's dropped outputs (their AR).
        slowness: weight of the mean square of its outputs' differences in time (their TAR).
        clip_norm: see `SingleModelTask`.
        evaluated_columns: columns that an evaluation reads; with 1 no word lacks its past.
        precision: see `SingleModelTask`.

    Raises:
        TypeError: a number of the wrong kind.
        ValueError: a number out of range.
    """

    def __init__(
        self,
        model: AWDLSTM,
        corpus: Corpus,
        *,
        batch_size: int,
        length: int,
        data_seed: int,
        varied: bool = True,
        activation: float = 0.0,
        slowness: float = 0.0,
        clip_norm: float | None = None,
        evaluated_columns: int = 10,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(model, batch_size=batch_size, clip_norm=clip_norm, precision=precision)
        for name, value in (
            ("batch_size", batch_size), ("length", length), ("evaluated_columns", evaluated_columns)
        ):  # fmt: skip
            check_integer(name, value, low=1)
        for name, weight in (("activation", activation), ("slowness", slowness)):
            if not 0 <= weight < math.inf:
                msg = f"{name} must be in [0, inf), got {weight}"
                raise ValueError(msg)
        self._model = model
        device = model.bias.device
        self._train = columns(corpus.train, batch_size).to(device)
        self._pieces = BPTTBatches(len(self._train), length, data_seed, varied=varied)
        self._splits: dict[Split, tuple[Tensor, Tensor]] = {
            "valid": padded_pairs(corpus.valid.to(device), evaluated_columns),
            "test": padded_pairs(corpus.test.to(device), evaluated_columns),
        }
        self._length, self._varied = length, varied
        self._weights = (activation, slowness)
        self._memory = model.empty(batch_size)
        self._plain = torch.zeros(())

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Words of training batch `index` (0, 1, ...), and those after them: (length, columns)."""
        begin, length = self._pieces[index]
        return self._train[begin : begin + length], self._train[begin + 1 : begin + length + 1]

    def refuses(self, processes: int, parallel: Parallel) -> str:
        """Several processes: each would have a memory of its own, and one only is kept."""
        del parallel
        if processes == 1:
            return ""
        return "it carries a memory, of which one process's is kept: one process trains it"

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        """Take optimizer step `index`; return the mean "loss" of its words, without penalties."""
        piece = self._pieces[index]
        if piece.begin == 0:
            self._memory = self._model.empty(self._batch_size)
        share = piece.length / self._length if self._varied else 1.0
        with scaled(optimizers["model"], share):
            super().step(index, optimizers)
        return {"loss": self._plain}

    def _loss_of(self, index: int) -> Tensor:
        words, after = self.batch(index)
        with self._precision(words):
            made: Outputs = self._called(words, self._memory)
            plain = functional.cross_entropy(made.logits.flatten(0, 1), after.flatten())
            loss = plain + _penalty(made, *self._weights)
        self._memory = tuple((hidden.detach(), cell.detach()) for hidden, cell in made.memory)
        self._plain = plain.detach()
        return loss

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Perplexity and loss over the whole of `split`, with the memory carried through it."""
        if split not in self._splits:
            msg = f"split must be one of {sorted(self._splits)}, got {split!r}"
            raise ValueError(msg)
        words, after = self._splits[split]
        total = torch.zeros((), dtype=torch.float64, device=words.device)
        with preserve_train_mode(self._model), torch.inference_mode(), self._precision(words):
            self._model.eval()
            memory: tuple[Memory, ...] = self._model.empty(words.shape[1])
            for begin in range(0, len(words), self._length):
                here = slice(begin, begin + self._length)
                made = self._model(words[here], memory)
                memory = made.memory
                total += functional.cross_entropy(
                    made.logits.flatten(0, 1).float(), after[here].flatten(), reduction="sum"
                )
        loss = (total / (after != IGNORED).sum()).item()
        return {"perplexity": math.exp(loss) if loss < 700 else math.inf, "loss": loss}

    def state_dict(self) -> dict[str, Any]:
        """The memory."""
        return {
            **super().state_dict(),
            "memory": [tensor for pair in self._memory for tensor in pair],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        flat = [tensor.to(self._model.bias.device) for tensor in state["memory"]]
        self._memory = tuple(zip(flat[::2], flat[1::2], strict=True))


def _penalty(made: Outputs, activation: float, slowness: float) -> Tensor | float:
    """Merity et al. 2017, section 4.7: AR and TAR."""
    penalty: Tensor | float = 0.0
    if activation:
        penalty = penalty + activation * made.dropped.float().pow(2).mean()
    if slowness and len(made.raw) > 1:
        penalty = penalty + slowness * (made.raw[1:] - made.raw[:-1]).float().pow(2).mean()
    return penalty


@contextmanager
def scaled(optimizer: Optimizer, share: float) -> Iterator[None]:
    """Within, the learning rate of every group is `share` of what it is."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * share
    try:
        yield
    finally:
        for group, lr in zip(optimizer.param_groups, before, strict=True):
            group["lr"] = lr
