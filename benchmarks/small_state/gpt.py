"""A small causal transformer on the bytes of the State of the Union."""

from __future__ import annotations

import torch
from benchmarks.small_state import text
from pydantic import Field

from adabelief_lab.data.text import load_bytes
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.models.gpt import GPT
from adabelief_lab.tasks.causal_lm import NextToken


class Options(text.Options):
    """What a preset may set."""

    width: int = Field(ge=1)
    heads: int = Field(ge=1)
    layers: int = Field(ge=1)


def build(preset: Preset, init_seed: int, data_seed: int) -> NextToken:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    streams = load_bytes("sotu")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(init_seed)
        model = GPT(text.BYTES, options.length, options.width, options.heads, options.layers)
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
