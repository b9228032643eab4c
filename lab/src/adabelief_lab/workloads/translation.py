"""Transformers that translate German: the authors' experiment beside the paper, and embedded text.

Text of "iwslt14" is tokenized, so that its BLEU takes words as they stand.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from adabelief_lab.data import pairs, subwords
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.models.translator import Dropouts, Translator
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.optimizers.published_language import transformer
from adabelief_lab.tasks.single_model import Precision
from adabelief_lab.tasks.translation import TRANSLATION, Tokenization, Translation


class Options(BaseModel):
    """What a preset may set for these workloads.

    Args:
        text: "help", "iwslt14", or the path of a folder, see `adabelief_lab.data.pairs.load`.
        vocabulary: subwords of both languages together, at most.
        width: features of a subword; even, and a multiple of `heads`.
        inner: width within perceptrons.
        heads: of each attention.
        layers: of the encoder, and of the decoder.
        dropout: of features, see `Dropouts` as the next two.
        attention_dropout: of attention's weights.
        activation_dropout: within perceptrons.
        smoothing: of labels.
        max_tokens: of a training batch, padding counted.
        longest: subwords of a sentence; a longer one is an error.
        averaged: weights averaged at the end; 1 for none.
        apart: steps between these.
        beam: of the search.
        tokenization: of BLEU: "13a" for plain text, "none" for what is tokenized already.
        evaluated: pairs of valid and of test at most; all if none.
        precision: "bfloat16" for torch.autocast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    vocabulary: int = Field(default=10_000, ge=subwords.SMALLEST)
    width: int = Field(default=512, ge=2)
    inner: int = Field(default=1024, ge=1)
    heads: int = Field(default=4, ge=1)
    layers: int = Field(default=6, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    attention_dropout: float = Field(default=0.1, ge=0, lt=1)
    activation_dropout: float = Field(default=0.1, ge=0, lt=1)
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    max_tokens: int = Field(default=4096, ge=1)
    longest: int = Field(default=1024, ge=1)
    averaged: int = Field(default=5, ge=1)
    apart: int = Field(default=1, ge=1)
    beam: int = Field(default=5, ge=1)
    tokenization: Tokenization = "13a"
    evaluated: int | None = Field(default=None, ge=1)
    precision: Precision = "float32"


def build(preset: Preset, init_seed: int, data_seed: int) -> Translation:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    both = pairs.load(options.text)
    learned = subwords.learned(options.text, options.vocabulary)
    dropouts = Dropouts(options.dropout, options.attention_dropout, options.activation_dropout)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        model = Translator(
            len(learned), options.width, options.inner, options.heads, options.layers, dropouts
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Translation(
        model.to(device), both, learned, max_tokens=options.max_tokens, longest=options.longest,
        data_seed=data_seed, smoothing=options.smoothing, averaged=options.averaged,
        apart=options.apart, steps=preset.steps, beam=options.beam,
        tokenization=options.tokenization, evaluated=options.evaluated,
        precision=options.precision,
    )  # fmt: skip


_SMALL = {
    "vocabulary": 2000, "width": 128, "inner": 256, "layers": 2, "dropout": 0.1,
    "max_tokens": 1024, "averaged": 1, "beam": 4, "evaluated": 100,
}  # fmt: skip
_TINY = {
    "text": "help", "vocabulary": 300, "width": 16, "inner": 16, "heads": 2, "layers": 1,
    "max_tokens": 512, "averaged": 2, "beam": 2, "evaluated": 4, "tokenization": "13a",
}  # fmt: skip
_QUICK_STEPS = 1000


def _presets(text: dict[str, object], epoch: int, epochs: int, warmup: int) -> dict[str, Preset]:
    """Presets.

    Args:
        text: options about it.
        epoch: steps in which every pair comes once.
        epochs: of a full run.
        warmup: steps of a full run's rise.
    """
    whole = {**text, "apart": epoch}
    schedule = Schedule(kind="rsqrt", warmup=warmup)
    full: dict[str, Any] = {
        "steps": epochs * epoch,
        "eval_every": epoch,
        "schedule": schedule,
        "options": whole,
    }
    return {
        "full": Preset(trials=7, seeds=5, search="space", **full),
        "paper": Preset(trials=25, seeds=3, search="paper", **full),
        "authors": Preset(trials=1, seeds=3, search="published", **full),
        "quick": Preset(
            steps=_QUICK_STEPS, eval_every=_QUICK_STEPS // 2, trials=1, seeds=3,
            search="published", schedule=Schedule(kind="rsqrt", warmup=_QUICK_STEPS // 5),
            options={**text, **_SMALL},
            watermark=(
                f"reduced: 2 + 2 layers of width {_SMALL['width']}, {_QUICK_STEPS} steps of "
                f"{_SMALL['max_tokens']} subwords, {_SMALL['evaluated']} sentences translated"
            ),
        ),
        "smoke": Preset(
            steps=6, eval_every=2, trials=1, seeds=2, search="published",
            schedule=Schedule(kind="rsqrt", warmup=2), options={**text, **_TINY},
            watermark="a few steps of a tiny network, to try the program",
        ),
    }  # fmt: skip


# An estimate: 160,239 pairs of some 25 subwords, padded, in batches of 4,096. The text is not here
# to be counted.
_IWSLT14 = 1_100
# Of the embedded pairs; tests count it.
_HELP = 160

_IWSLT14_DATA = (
    "IWSLT14 German-English as fairseq's prepare-iwslt14.sh cuts it: "
    f"{' / '.join(f'{count:,}' for count in pairs.IWSLT14.values())} pairs, tokenized and in lower "
    "case; subwords are learned here. BLEU of the tokens as they stand. smoke: LibreOffice's help."
)
_HELP_DATA = (
    "LibreOffice 7.4 help, German-English (Debian packages libreoffice-help-de and -en-us; "
    f"MPL-2.0), split by page; sha256 {pairs.EMBEDDED_SHA256}."
)


def _workload(
    name: str,
    text: str,
    title: str,
    data: str,
    epoch: int,
    epochs: int,
    warmup: int,
    published: tuple[OptimizerSpec, ...],
) -> Workload:
    tokenization = "none" if text == "iwslt14" else "13a"
    return Workload(
        name=name,
        build=build,
        metrics=TRANSLATION,
        primary="bleu",
        presets=_presets({"text": text, "tokenization": tokenization}, epoch, epochs, warmup),
        title=title,
        data=data,
        published=published,
        options=Options,
        files=pairs.files,
    )


_THEIRS = transformer(1.5e-3, "transformer-adabelief")

WORKLOADS = {
    each.name: each
    for each in (
        _workload(
            "iwslt14-transformer", "iwslt14", "IWSLT14 German-English, transformer",
            _IWSLT14_DATA, _IWSLT14, 55, 8000, _THEIRS,
        ),
        _workload(
            "iwslt14-fairseq", "iwslt14", "IWSLT14 German-English, transformer (fairseq's recipe)",
            _IWSLT14_DATA, _IWSLT14, 50, 4000, transformer(5e-4, "fairseq-adabelief"),
        ),
        _workload(
            "help-transformer", "help", "LibreOffice help German-English, transformer",
            _HELP_DATA, _HELP, 55, 2000, _THEIRS,
        ),
    )
}  # fmt: skip
