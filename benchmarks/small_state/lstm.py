"""A word-level LSTM on the State of the Union."""

from __future__ import annotations

import torch
from benchmarks.small_state import text
from pydantic import Field
from torch import Tensor, nn

from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.tasks.causal_lm import NextToken


class Options(text.Options):
    """What a preset may set."""

    hidden: int = Field(ge=1)
    vocabulary: int = Field(ge=2)


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


def build(preset: Preset, init_seed: int, data_seed: int) -> NextToken:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    streams = text.word_streams(options.vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(init_seed)
        model = LSTM(options.vocabulary, options.hidden)
    return text.next_token(model, streams, options, data_seed)


workload = Workload(
    name="small-state-lstm",
    title="LSTM on words of the State of the Union",
    build=build,
    metrics=text.METRICS,
    primary="loss",
    presets={
        "study": Preset(
            steps=240,
            eval_every=80,
            trials=7,
            seeds=8,
            options={
                "batch_size": 32,
                "length": 32,
                "hidden": 96,
                "vocabulary": 2000,
                "evaluated": 1000,
            },
        ),
        "smoke": Preset(
            steps=4,
            eval_every=2,
            trials=2,
            seeds=2,
            options={
                "batch_size": 4,
                "length": 8,
                "hidden": 16,
                "vocabulary": 50,
                "evaluated": 20,
            },
        ),
    },
    data=text.DATA,
)
