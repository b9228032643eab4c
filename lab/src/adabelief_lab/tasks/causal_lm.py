"""The task of predicting each token from those before it, in windows of a text in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.declare.workload import Metric, Split
from adabelief_lab.tasks.single_model import preserve_train_mode
from adabelief_lab.tasks.supervised import Supervised

BYTES = (
    Metric(name="bits", direction="min", label="bits a byte"),
    Metric(name="loss", direction="min", label="loss (nats a byte)"),
)
# Outputs are (n, length, vocabulary): those of a whole split do not fit into memory.
_EVALUATION_BATCH = 64


class CausalLM(Supervised):
    """`Supervised` for outputs (n, length, vocabulary) of windows of tokens.

    Args:
        model: tokens (n, length) -> logits (n, length, vocabulary).
        streams: tokens of "train", "valid" and "test", int64 (tokens,).
        length: of a window.
        evaluated: windows of valid and test at most; None for all.
        others: of `Supervised`.
    """

    def __init__(
        self,
        model: nn.Module,
        streams: Mapping[str, Tensor],
        length: int,
        evaluated: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__(
            model,
            train=windows(streams["train"], length),
            valid=windows(streams["valid"], length, evaluated),
            test=windows(streams["test"], length, evaluated),
            loss=cross_entropy,
            evaluate=lambda outputs, targets: {},  # this class has its own
            **others,
        )

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Mean "loss" of all tokens of the split, and the same in "bits"."""
        inputs, targets = self._splits[split]
        model = self._evaluated
        total = 0.0
        with preserve_train_mode(model), torch.inference_mode(), self._precision(inputs):
            model.eval()
            for begin in range(0, len(inputs), _EVALUATION_BATCH):
                here = slice(begin, begin + _EVALUATION_BATCH)
                mean = cross_entropy(model(inputs[here]).float(), targets[here])
                total += mean.item() * len(inputs[here])
        loss = total / len(inputs)
        return {"loss": loss, "bits": loss / math.log(2)}


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over all tokens: outputs (n, length, vocabulary), targets (n, length)."""
    return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def windows(stream: Tensor, length: int, most: int | None = None) -> tuple[Tensor, Tensor]:
    """Consecutive pieces of a stream of tokens, and the same one token later: (n, length) each.

    Args:
        stream: tokens, int64.
        length: of each piece.
        most: pieces at most, from the beginning.

    Raises:
        ValueError: the stream is too short for one.
    """
    n = (len(stream) - 1) // length
    if n < 1:
        msg = f"a text must have more tokens than a window's {length}, got {len(stream)}"
        raise ValueError(msg)
    n = n if most is None else min(n, most)
    return stream[: n * length].view(n, length), stream[1 : n * length + 1].view(n, length)
