"""The LSTM language model of Merity et al. 2017, as in figure 5 of Zhuang et al. 2020."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

# Memory of one layer: hidden and cell state, each (1, batch, width).
Memory = tuple[Tensor, Tensor]

# Half the width of the embedding's first values (Merity et al. 2017, section 5).
_EMBEDDING_RANGE = 0.1


class Dropouts(NamedTuple):
    """Shares that are set to zero in training; what is left is scaled up.

    The defaults are the authors' for the Penn Treebank.

    Args:
        words: whole words of the vocabulary, one mask a batch.
        inputs: elements of the embedded words; one mask for all words of a sequence.
        hidden: elements between two layers; one mask likewise.
        output: elements after the last layer; one mask likewise.
        recurrent: elements of the matrices from hidden state to gates (DropConnect).
    """

    words: float = 0.1
    inputs: float = 0.4
    hidden: float = 0.25
    output: float = 0.4
    recurrent: float = 0.5


class Outputs(NamedTuple):
    """What the model makes of a batch.

    Args:
        logits: (length, batch, vocabulary).
        dropped: of the last layer after dropout, (length, batch, embedding): AR's.
        raw: the same before it: TAR's.
        memory: of each layer after the last word.
    """

    logits: Tensor
    dropped: Tensor
    raw: Tensor
    memory: tuple[Memory, ...]


class DropLSTM(nn.Module):
    """One LSTM layer, parameters as those of torch.nn.LSTM, with DropConnect on `weight_hh`.

    Args:
        inputs: width of the inputs.
        width: of the hidden state.
        drop: share of `weight_hh` that is zero in training.
        frozen: no gradient reaches `weight_hh`. So it is in the authors' code: its WeightDrop
            hands the layer a new parameter each time, and the one that the optimizer has is never
            trained. The published perplexities are of such models.
    """

    def __init__(self, inputs: int, width: int, drop: float, *, frozen: bool = False) -> None:
        super().__init__()
        reach = 1 / math.sqrt(width)
        self.weight_ih = nn.Parameter(torch.empty(4 * width, inputs).uniform_(-reach, reach))
        self.weight_hh = nn.Parameter(torch.empty(4 * width, width).uniform_(-reach, reach))
        self.bias_ih = nn.Parameter(torch.empty(4 * width).uniform_(-reach, reach))
        self.bias_hh = nn.Parameter(torch.empty(4 * width).uniform_(-reach, reach))
        self.width = width
        self._drop = drop
        self._frozen = frozen

    def forward(self, inputs: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """(length, batch, inputs) -> (length, batch, width), and the memory after it."""
        recurrent = self.weight_hh.detach() if self._frozen else self.weight_hh
        weights = [
            self.weight_ih,
            functional.dropout(recurrent, self._drop, self.training),
            self.bias_ih,
            self.bias_hh,
        ]
        # torch.nn.LSTM's own computation; the class itself would keep the weights it was given.
        with _without_missing_kernel(inputs):
            output, hidden, cell = torch.lstm(
                inputs, memory, weights, True, 1, 0.0, self.training, False, False
            )
        return output, (hidden, cell)


@contextmanager
def _without_missing_kernel(inputs: Tensor) -> Iterator[None]:
    """Turn oneDNN off where its LSTM has no kernel for the dtype that autocast asks for.

    torch takes oneDNN's LSTM for every floating dtype (aten/src/ATen/native/RNN.cpp, use_mkldnn).
    On a processor without AVX-512 oneDNN has none for bfloat16, and raises "could not create a
    primitive descriptor". torch's own LSTM runs on every processor.
    """
    if _has_kernel(inputs):
        yield
        return
    # Not torch.backends.mkldnn.flags: it also sets TF32, which warns on machines without a GPU.
    enabled = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = enabled


def _has_kernel(inputs: Tensor) -> bool:
    if inputs.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return True
    supported = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    asked = supported.get(torch.get_autocast_dtype("cpu"))
    return asked is None or not torch.backends.mkldnn.is_available() or asked()


class AWDLSTM(nn.Module):
    """Embedding, LSTM layers, and logits by the embedding's own matrix (tied).

    5,293,200 / 13,632,400 / 24,221,600 parameters with 1 / 2 / 3 layers of the authors' sizes.

    Args:
        vocabulary: number of words.
        layers: LSTM layers; the last one is as wide as the embedding.
        embedding: width of an embedded word.
        width: of the other layers.
        dropouts: what is dropped in training.
        frozen: see `DropLSTM`.
    """

    def __init__(
        self,
        vocabulary: int,
        layers: int,
        embedding: int = 400,
        width: int = 1150,
        dropouts: Dropouts | None = None,
        *,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self._dropouts = dropouts = dropouts or Dropouts()
        self.embedding = nn.Embedding(vocabulary, embedding)
        nn.init.uniform_(self.embedding.weight, -_EMBEDDING_RANGE, _EMBEDDING_RANGE)
        widths = [embedding, *[width] * (layers - 1), embedding]
        self.layers = nn.ModuleList(
            DropLSTM(before, after, dropouts.recurrent, frozen=frozen)
            for before, after in itertools.pairwise(widths)
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def empty(self, batch: int) -> tuple[Memory, ...]:
        """The memory at the beginning of a text."""
        like = self.bias
        return tuple(
            (like.new_zeros(1, batch, layer.width), like.new_zeros(1, batch, layer.width))
            for layer in self.layers
            if isinstance(layer, DropLSTM)
        )

    def forward(self, words: Tensor, memory: Sequence[Memory]) -> Outputs:
        """Numbers of words (length, batch), and the memory of the words before."""
        rates, weight = self._dropouts, self.embedding.weight
        if self.training and rates.words:
            kept = torch.empty_like(weight[:, :1]).bernoulli_(1 - rates.words)
            weight = weight * kept / (1 - rates.words)
        raw = self._locked(functional.embedding(words, weight), rates.inputs)
        after: list[Memory] = []
        for number, (layer, before) in enumerate(zip(self.layers, memory, strict=True)):
            if number:
                raw = self._locked(raw, rates.hidden)
            raw, state = layer(raw, before)
            after.append(state)
        dropped = self._locked(raw, rates.output)
        logits = functional.linear(dropped, self.embedding.weight, self.bias)
        return Outputs(logits, dropped, raw, tuple(after))

    def _locked(self, values: Tensor, rate: float) -> Tensor:
        """Drop the same elements at every place of the sequence (Gal & Ghahramani 2016)."""
        if not self.training or not rate:
            return values
        kept = torch.empty_like(values[:1]).bernoulli_(1 - rate)
        return values * kept / (1 - rate)
