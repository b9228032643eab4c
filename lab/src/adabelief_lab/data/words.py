"""Text as numbered words, in the style of the Penn Treebank of Mikolov et al. 2010."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adabelief_lab.common.errors import LabError

UNKNOWN, END, NUMBER = "<unk>", "<eos>", "N"
SPLITS = ("train", "valid", "test")
Lines = Iterable[Sequence[str]]

_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?|\d[\d,.]*")


@dataclass(frozen=True)
class Corpus:
    """Three splits of one text.

    Args:
        vocabulary: each word, at its number.
        train: numbers of the words to train on, int64 (tokens,).
        valid: of those that tune.
        test: of those that final runs are measured on.
    """

    vocabulary: tuple[str, ...]
    train: Tensor
    valid: Tensor
    test: Tensor


def words(line: str) -> list[str]:
    """A line in Penn Treebank's style: lower case, numbers as N, no punctuation."""
    return [NUMBER if word[0].isdigit() else word for word in _WORD.findall(line.lower())]


def corpus(splits: Mapping[str, Lines], most: int | None = None) -> Corpus:
    """Number the words of lines, with `END` after each line.

    The vocabulary is that of the train split, the most frequent word first and equals in their
    order in the text. A word that is not in it is `UNKNOWN`.

    Args:
        splits: lines of words, for each of `SPLITS`.
        most: words of the vocabulary at most, `UNKNOWN` and `END` among them; if None all of the
            train split, which is expected to have an `UNKNOWN` of its own.

    Raises:
        LabError: a split has no words; or, without `most`, a word that is not in the train split,
            which has no `UNKNOWN` for it.
    """
    running = {split: list(_ended(splits[split])) for split in SPLITS}
    for split, tokens in running.items():
        if set(tokens) <= {END}:
            msg = f"{split} must have at least one word, got {len(tokens)} empty lines"
            raise LabError(msg)
    counted = Counter(running["train"])
    if most is not None:
        counted[UNKNOWN] = counted[END] = len(running["train"])  # never among those left out
        counted = Counter(dict(counted.most_common(most)))
    vocabulary = tuple(word for word, _ in counted.most_common())
    numbers = {word: number for number, word in enumerate(vocabulary)}
    return Corpus(
        vocabulary, **{split: _numbered(split, running[split], numbers) for split in SPLITS}
    )


def _ended(lines: Lines) -> Iterator[str]:
    for line in lines:
        yield from line
        yield END


def _numbered(split: str, tokens: Sequence[str], numbers: Mapping[str, int]) -> Tensor:
    other = numbers.get(UNKNOWN)
    try:
        found = [numbers[word] if other is None else numbers.get(word, other) for word in tokens]
    except KeyError as error:
        msg = f"{split} has the word {error.args[0]!r}, which train has not, and train no {UNKNOWN}"
        raise LabError(msg) from None
    return torch.tensor(found, dtype=torch.int64)
