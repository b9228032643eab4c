"""Batches of equally many tokens: pairs of about one length together, by number."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from adabelief_lab.common.rng import generator


class MaxTokenBatches:
    """Which pairs training batch `index` has: a pure function of `data_seed` and `index`.

    An epoch's pairs are sorted by length, which of equal ones comes first is drawn, and cut where
    another pair would make a batch too large; the batches come in an order that is drawn as well.
    Every pair is in one batch of an epoch, and every epoch has as many batches.

    Args:
        sizes: of each pair the tokens of its longer side.
        max_tokens: of a batch, padding counted: its longest pair's times how many pairs it has.
        data_seed: what the order is drawn from.

    Raises:
        ValueError: there is no pair, or one that is larger than a batch.
    """

    def __init__(self, sizes: Sequence[int], max_tokens: int, data_seed: int) -> None:
        if not sizes:
            msg = "training data must have at least 1 pair, got none"
            raise ValueError(msg)
        if max(sizes) > max_tokens:
            msg = (
                f"max_tokens must be at least {max(sizes)}, which the longest pair has, "
                f"got {max_tokens}"
            )
            raise ValueError(msg)
        self._sizes = torch.tensor(sizes)
        self._data_seed = data_seed
        self._parts = _cut(self._sizes.sort().values.tolist(), max_tokens)
        self._epoch = -1
        self._batches: list[list[int]] = []

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self._parts)

    @property
    def smallest(self) -> int:
        """Pairs of the batch that has fewest."""
        return min(self._parts)

    def __getitem__(self, index: int) -> list[int]:
        """Numbers of the pairs of batch `index` (0, 1, ...)."""
        epoch, place = divmod(index, self.per_epoch)
        if epoch != self._epoch:
            self._batches, self._epoch = self._drawn(epoch), epoch
        return self._batches[place]

    def _drawn(self, epoch: int) -> list[list[int]]:
        drawn = generator(self._data_seed, epoch)
        shuffled = torch.randperm(len(self._sizes), generator=drawn)
        ranked = shuffled[self._sizes[shuffled].sort(stable=True).indices]
        batches = [part.tolist() for part in ranked.split(self._parts)]
        order = torch.randperm(len(batches), generator=drawn)
        return [batches[place] for place in order.tolist()]


def _cut(rising: Sequence[int], max_tokens: int) -> list[int]:
    """Pairs of each batch, if they come in this order."""
    parts = [0]
    for size in rising:
        if (parts[-1] + 1) * size > max_tokens:
            parts.append(0)
        parts[-1] += 1
    return parts
