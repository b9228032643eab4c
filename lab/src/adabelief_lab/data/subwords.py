"""One vocabulary of subwords for two languages, learned from their training sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from adabelief_lab.common.errors import LabError, needs_extra
from adabelief_lab.data import pairs

PAD, BEGIN, END = 0, 1, 2
_SPECIAL = ("<pad>", "<s>", "</s>")
# Byte-level BPE (Radford et al. 2019) begins with all 256 bytes: nothing is unknown to it.
SMALLEST = 256 + len(_SPECIAL)


class Subwords:
    """Byte pair encoding (Sennrich et al. 2016) on bytes, by the library tokenizers.

    The same sentences give the same vocabulary: pairs of one frequency are merged in the order of
    their numbers.

    Args:
        sentences: to learn from, those of both languages.
        size: of the vocabulary, if there are as many pairs to merge.

    Raises:
        LabError: the library is missing, or `size` is less than `SMALLEST`.
    """

    def __init__(self, sentences: Iterable[str], size: int) -> None:
        with needs_extra("a vocabulary of subwords", "tokenizers", "translation"):
            from tokenizers import ByteLevelBPETokenizer  # noqa: PLC0415, an extra
        if size < SMALLEST:
            msg = f"vocabulary must be at least {SMALLEST}, all bytes among it, got {size}"
            raise LabError(msg)
        self._made = ByteLevelBPETokenizer(add_prefix_space=True)
        self._made.train_from_iterator(
            sentences, vocab_size=size, show_progress=False, special_tokens=list(_SPECIAL)
        )
        # A process trains several runs on the same sentences.
        self._known: dict[tuple[str, ...], list[list[int]]] = {}

    def __len__(self) -> int:
        """How many there are, with padding, begin and end."""
        return self._made.get_vocab_size()

    def numbers(self, sentences: Sequence[str]) -> list[list[int]]:
        """Of each sentence the subwords' numbers, and `END`."""
        key = tuple(sentences)
        if key not in self._known:
            encoded = self._made.encode_batch(list(sentences), add_special_tokens=False)
            self._known[key] = [[*each.ids, END] for each in encoded]
        return self._known[key]

    def text(self, numbers: Sequence[int]) -> str:
        """The sentence that the numbers up to the first `END` spell."""
        kept = numbers[: numbers.index(END)] if END in numbers else numbers
        return self._made.decode(list(kept), skip_special_tokens=True).strip()


@lru_cache(maxsize=2)
def learned(name: str, size: int) -> Subwords:
    """Those of the training pairs of `pairs.load(name)`, learned once in each process."""
    train = pairs.load(name)["train"]
    return Subwords((*train.source, *train.target), size)
