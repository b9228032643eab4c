"""A small causal transformer on the bytes of the State of the Union."""

from __future__ import annotations

import torch
from benchmarks.small_state import text
from pydantic import Field
from torch import Tensor, nn

from adabelief.lab.workload import Preset, Workload


class Options(text.Options):
    """What a preset may set."""

    width: int = Field(ge=1)
    heads: int = Field(ge=1)
    layers: int = Field(ge=1)


class Block(nn.Module):
    """Attention to what came before, then a perceptron; each normalised first, and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, length, width) -> the same."""
        n, length, width = x.shape
        projected = self.queries_keys_values(self.before_attention(x))
        heads = projected.view(n, length, 3, self.heads, width // self.heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.mixed(attended.transpose(1, 2).reshape(n, length, width))
        return x + self.perceptron(self.before_perceptron(x))


class GPT(nn.Module):
    """Bytes (n, length) -> logits of the next one (n, length, 256)."""

    def __init__(self, length: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(text.BYTES, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.last = nn.LayerNorm(width)
        self.logits = nn.Linear(width, text.BYTES, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)  # as GPT-2

    def forward(self, tokens: Tensor) -> Tensor:
        """At most as long as `length`."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.logits(self.last(self.blocks(self.tokens(tokens) + self.places(places))))


def build(preset: Preset, init_seed: int, data_seed: int) -> text.NextToken:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    streams = text.byte_streams()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(init_seed)
        model = GPT(options.length, options.width, options.heads, options.layers)
    return text.next_token(model, streams, options, data_seed)


workload = Workload(
    name="small-state-gpt",
    title="GPT on bytes of the State of the Union",
    build=build,
    metrics=text.METRICS,
    primary="loss",
    presets={
        "study": Preset(
            steps=400,
            eval_every=200,
            trials=7,
            seeds=8,
            options={
                "batch_size": 16,
                "length": 64,
                "width": 64,
                "heads": 4,
                "layers": 2,
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
                "width": 16,
                "heads": 2,
                "layers": 1,
                "evaluated": 20,
            },
        ),
    },
    data=text.DATA,
)
