"""A text cut into columns that are read side by side, in pieces of random length."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import torch
from torch import Tensor

from adabelief_lab.common.rng import generator

# Merity et al. 2017, section 5: of the pieces one in twenty is half as long, and all vary.
_HALVED, _DEVIATION, _SHORTEST = 0.05, 5.0, 5

# What a padded target has: it is not predicted, and does not count.
IGNORED = -100


def columns(tokens: Tensor, count: int) -> Tensor:
    """(tokens,) -> (rows, count), a column a consecutive part; what is left over is not used."""
    rows = len(tokens) // count
    return tokens[: rows * count].view(count, rows).t().contiguous()


def padded_pairs(tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Every token but the last, and the one after it, each (rows, count): nothing is left over.

    The end of the last columns is filled with token 0 and target `IGNORED`.
    """
    pairs = len(tokens) - 1
    rows = -(-pairs // count)
    inputs, targets = tokens.new_zeros(rows * count), tokens.new_full((rows * count,), IGNORED)
    inputs[:pairs], targets[:pairs] = tokens[:-1], tokens[1:]
    return inputs.view(count, rows).t().contiguous(), targets.view(count, rows).t().contiguous()


class Piece(NamedTuple):
    """Rows `begin` to `begin + length` of the columns; row `begin` 0 is an epoch's first."""

    begin: int
    length: int


class BPTTBatches:
    """Which rows training batch `index` has: a pure function of `data_seed` and `index`.

    Args:
        rows: of the columns.
        length: rows of a piece, if nothing varies.
        data_seed: what the lengths are drawn from.
        varied: lengths vary (a normal distribution, halved now and then) rather than being equal.

    Raises:
        ValueError: there are less than two rows: nothing follows.
    """

    def __init__(self, rows: int, length: int, data_seed: int, *, varied: bool) -> None:
        if rows < 2:
            msg = f"each column must have at least 2 tokens, got {rows}: a smaller batch_size"
            raise ValueError(msg)
        self._predicted = rows - 1
        self._length, self._varied, self._data_seed = length, varied, data_seed
        self._epochs: list[list[Piece]] = []
        self._firsts: list[int] = []
        self._known = 0

    def __getitem__(self, index: int) -> Piece:
        """The piece of batch `index` (0, 1, ...)."""
        while index >= self._known:
            self._firsts.append(self._known)
            self._epochs.append(self._epoch(len(self._epochs)))
            self._known += len(self._epochs[-1])
        epoch = bisect_right(self._firsts, index) - 1
        return self._epochs[epoch][index - self._firsts[epoch]]

    def _epoch(self, epoch: int) -> list[Piece]:
        drawn = generator(self._data_seed, epoch)
        found, begin = [], 0
        while begin < self._predicted:
            length = min(self._drawn(drawn), self._predicted - begin)
            found.append(Piece(begin, length))
            begin += length
        return found

    def _drawn(self, drawn: torch.Generator) -> int:
        if not self._varied:
            return self._length
        halved = torch.rand((), generator=drawn).item() < _HALVED
        mean = self._length / 2 if halved else float(self._length)
        length = mean + _DEVIATION * torch.randn((), generator=drawn).item()
        return max(min(_SHORTEST, self._length), int(length))
