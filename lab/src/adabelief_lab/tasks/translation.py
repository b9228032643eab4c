"""The task of translating: pairs of sentences in memory, judged by BLEU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from adabelief_lab.common.errors import LabError, needs_extra
from adabelief_lab.data.pairs import Pairs
from adabelief_lab.data.subwords import BEGIN, PAD, Subwords
from adabelief_lab.data.words import SPLITS
from adabelief_lab.declare.workload import Metric, Parallel, Split
from adabelief_lab.models.beam import translate
from adabelief_lab.models.translator import Translator
from adabelief_lab.tasks.max_token_batches import MaxTokenBatches
from adabelief_lab.tasks.single_model import (
    Precision,
    SingleModelTask,
    check_integer,
    preserve_train_mode,
)

TRANSLATION = (
    Metric(name="bleu", direction="max", label="BLEU"),
    Metric(name="loss", direction="min", label="loss (nats a subword)"),
)
# "13a" splits text as mteval-v13a does; "none" is for text that is tokenized already.
Tokenization = Literal["13a", "none"]

# Sentences at once, of about one length.
_EVALUATED = 100


class Translation(SingleModelTask):
    """A `Translator` trained on pairs with label smoothing; see `TokenBatches` for its batches.

    Of the last steps the weights may be averaged, at `averaged` places that are `apart` steps from
    each other, the last step among them; from the first of these on, the mean is what is evaluated.

    Args:
        model: the network; it stays on the device it is given on.
        pairs: sentences of "train", "valid" and "test".
        subwords: of both languages.
        max_tokens: of a training batch, see `TokenBatches`.
        longest: subwords of a sentence, its end counted; of longer ones none may be there.
        data_seed: order of the batches.
        smoothing: of labels, by the same for every token (Szegedy et al. 2016).
        averaged: how many weights are averaged; 1 for none.
        apart: steps between these.
        steps: of the run.
        beam: see `adabelief_lab.models.beam.translate`.
        penalty: see there.
        tokenization: of BLEU.
        evaluated: pairs of each of valid and test at most; None for all.
        precision: see `SingleModelTask`.

    Raises:
        LabError: a sentence is longer than `longest`, or sacrebleu is missing.
        TypeError: a number of the wrong kind.
        ValueError: a number out of range.
    """

    def __init__(
        self,
        model: Translator,
        pairs: Mapping[str, Pairs],
        subwords: Subwords,
        *,
        max_tokens: int,
        longest: int,
        data_seed: int,
        smoothing: float = 0.1,
        averaged: int = 1,
        apart: int = 1,
        steps: int,
        beam: int = 5,
        penalty: float = 1.0,
        tokenization: Tokenization = "13a",
        evaluated: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(model, batch_size=1, precision=precision)
        for name, value in (
            ("longest", longest), ("averaged", averaged), ("apart", apart), ("beam", beam)
        ):  # fmt: skip
            check_integer(name, value, low=1)
        if not 0 <= smoothing < 1:
            msg = f"smoothing must be in [0, 1), got {smoothing}"
            raise ValueError(msg)
        if averaged > 1 and steps <= (averaged - 1) * apart:
            msg = (
                f"steps must be more than {(averaged - 1) * apart}, over which the options "
                f"averaged={averaged} and apart={apart} take the mean, got {steps}"
            )
            raise ValueError(msg)
        self._model, self._subwords = model, subwords
        self._device = model.tokens.weight.device
        numbered = {split: _numbered(split, pairs[split], subwords, longest) for split in SPLITS}
        self._train = numbered["train"]
        self._batches = MaxTokenBatches(_sizes(self._train), max_tokens, data_seed)
        self._splits: dict[Split, Sequence[Numbers]] = {
            "valid": numbered["valid"][:evaluated], "test": numbered["test"][:evaluated]
        }  # fmt: skip
        self._references: dict[Split, Sequence[str]] = {
            "valid": pairs["valid"].target[:evaluated], "test": pairs["test"].target[:evaluated]
        }  # fmt: skip
        self._smoothing = smoothing
        self._average = AveragedModel(model) if averaged > 1 else None
        self._taken = {steps - 1 - back * apart for back in range(averaged)}
        self._beam, self._penalty, self._longest = beam, penalty, longest
        self._bleu = _bleu(tokenization)

    @property
    def batches_per_epoch(self) -> int:
        """Batches in which every training pair comes once."""
        return self._batches.per_epoch

    def refuses(self, processes: int, parallel: Parallel) -> str:
        """Shards of weights, and a process without a pair of its own."""
        if parallel == "fsdp":
            return "beam search calls encoder and decoder apart, which shards do not notice; ddp"
        smallest = self._batches.smallest
        if smallest < processes:
            return (
                f"every batch must have a pair for each of the {processes} processes, one has "
                f"{smallest}: a larger max_tokens"
            )
        return ""

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Source and target tokens of training batch `index`, padded: (n, s), (n, t + 1).

        A target begins with `BEGIN`.
        """
        chosen = self._batches[index][self._group.rank :: self._group.size]
        return self._padded([self._train[number] for number in chosen])

    def _averages(self, index: int) -> bool:
        return index in self._taken

    def _loss_of(self, index: int) -> Tensor:
        source, target = self.batch(index)
        with self._precision(source):
            logits = self._called(source, target[:, :-1])
            total = _summed(logits, target, self._smoothing)
        # Of several processes each has its part, and gradients are their mean.
        tokens = sum(len(self._train[number][1]) for number in self._batches[index])
        return total * self._group.size / tokens

    def evaluate(self, split: Split) -> Mapping[str, float]:
        """BLEU of the translations, and the loss of the references, without smoothing."""
        if split not in self._splits:
            msg = f"split must be one of {sorted(self._splits)}, got {split!r}"
            raise ValueError(msg)
        pairs, model = self._splits[split], self._judged
        order = sorted(range(len(pairs)), key=lambda number: len(pairs[number][0]))
        said = [""] * len(pairs)
        total = 0.0
        with preserve_train_mode(model), torch.inference_mode():
            model.eval()
            for begin in range(0, len(order), _EVALUATED):
                chosen = order[begin : begin + _EVALUATED]
                source, target = self._padded([pairs[number] for number in chosen])
                with self._precision(source):
                    total += _summed(model(source, target[:, :-1]), target).item()
                    found = translate(model, source, self._beam, self._limit(source), self._penalty)
                for number, tokens in zip(chosen, found, strict=True):
                    said[number] = self._subwords.text(tokens)
        score = self._bleu(said, [list(self._references[split])]).score
        return {"bleu": score, "loss": total / sum(len(target) for _, target in pairs)}

    def _limit(self, source: Tensor) -> int:
        """Tokens of a translation; what never ends would take most of the time."""
        return min(self._longest, 2 * source.shape[1] + 10)

    @property
    def _judged(self) -> Translator:
        if self._average is None or not self._average.n_averaged:
            return self._model
        mean = self._average.module
        assert isinstance(mean, Translator)
        return mean

    def _padded(self, pairs: Sequence[Numbers]) -> tuple[Tensor, Tensor]:
        sources = [torch.tensor(source) for source, _ in pairs]
        targets = [torch.tensor([BEGIN, *target]) for _, target in pairs]
        source, target = (
            torch.nn.utils.rnn.pad_sequence(each, batch_first=True, padding_value=PAD)
            for each in (sources, targets)
        )
        return source.to(self._device), target.to(self._device)


# Subwords of a source and of its target, each with its end.
Numbers = tuple[list[int], list[int]]


def _numbered(split: str, pairs: Pairs, subwords: Subwords, longest: int) -> list[Numbers]:
    made = list(zip(*(subwords.numbers(side) for side in pairs), strict=True))
    for place, size in enumerate(_sizes(made), start=1):
        if size > longest:
            msg = (
                f"{split}: a sentence of pair {place} has {size} subwords, the option longest "
                f"allows {longest} at most"
            )
            raise LabError(msg)
    return made


def _sizes(pairs: Sequence[Numbers]) -> list[int]:
    return [max(len(source), len(target)) for source, target in pairs]


def _summed(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of all tokens after `BEGIN`, padding left out."""
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), target[:, 1:].flatten(), ignore_index=PAD,
        reduction="sum", label_smoothing=smoothing,
    )  # fmt: skip


def _bleu(tokenization: Tokenization) -> Any:
    with needs_extra("BLEU", "sacrebleu", "translation"):
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415, an extra
    # force: it warns of text that looks tokenized, which IWSLT14 is.
    return BLEU(tokenize=tokenization, force=True).corpus_score
