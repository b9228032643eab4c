"""A DataLoader's batches by number, so that a run that was killed goes on with the next one."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.utils.data import DataLoader, IterableDataset

from adabelief_lab.common.rng import apart, derived

# Streams of random numbers that one data seed gives.
_ORDER, _ITEMS = 0, 1


class Batches:
    """Batch `index` (0, 1, ...) as a pure function of the data seed and the index.

    The loader's own sampler gives the order of every epoch, its own `collate_fn` makes batches.
    Random numbers that they and the dataset draw from the global generators of Python, NumPy and
    torch begin anew with every epoch and every batch; the generators are left as they were.
    Batches are made in this process: what a loader's worker draws depends on what it did before,
    so `num_workers` is not used.

    Args:
        loader: batches to train on; its sampler draws from the global generators or from its own
            attribute `generator`, or follows `set_epoch`.
        data_seed: gives order and random numbers.

    Raises:
        TypeError: not a DataLoader, or one whose dataset cannot be asked for its i-th example.
        ValueError: the loader has no batch.
    """

    def __init__(self, loader: Any, data_seed: int) -> None:
        if not isinstance(loader, DataLoader):
            msg = f"training data must be one torch DataLoader, got {type(loader).__name__}"
            raise TypeError(msg)
        if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
            msg = (
                "training data must have examples and batches by number, for a run that was "
                "killed to go on: no IterableDataset, no batch_size=None, got "
                f"{type(loader.dataset).__name__} with batch_size={loader.batch_size}"
            )
            raise TypeError(msg)
        self._loader: DataLoader[Any] = loader
        self._batch_sampler = cast("Any", loader.batch_sampler)
        self._data_seed = data_seed
        self.per_epoch = len(self._batch_sampler)
        if self.per_epoch == 0:
            msg = "training data must have at least 1 batch, got a DataLoader without any"
            raise ValueError(msg)
        self._epoch = -1
        self._order: list[Any] = []

    def __getitem__(self, index: int) -> Any:
        """Batch `index`, as the loader would have made it."""
        epoch, place = divmod(index, self.per_epoch)
        if epoch != self._epoch:
            self._order = self._shuffled(epoch)
            self._epoch = epoch
        with apart(derived(self._data_seed, _ITEMS, index)):
            # A loader of its own for each batch: cheap, and its rules of fetching hold.
            one = DataLoader(
                self._loader.dataset,
                batch_sampler=[self._order[place]],
                collate_fn=self._loader.collate_fn,
            )
            return next(iter(one))

    def _shuffled(self, epoch: int) -> list[Any]:
        """Indices of the examples in every batch of the epoch."""
        seed = derived(self._data_seed, _ORDER, epoch)
        samplers: list[Any] = [self._batch_sampler, getattr(self._batch_sampler, "sampler", None)]
        for each in samplers:
            if hasattr(each, "set_epoch"):
                each.set_epoch(epoch)
            if isinstance(getattr(each, "generator", None), torch.Generator):
                each.generator.manual_seed(seed)
        with apart(seed):
            order = list(self._batch_sampler)
        if len(order) != self.per_epoch:
            msg = (
                f"every epoch must have as many batches as len(batch_sampler), {self.per_epoch}, "
                f"got {len(order)} in epoch {epoch}: {type(self._batch_sampler).__name__}"
            )
            raise ValueError(msg)
        return order
