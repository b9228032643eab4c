"""Batches by number: what the loader would have made, whichever is asked for first."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

from adabelief_lab.common.rng import capture
from adabelief_lab.tasks.dataloader import Batches

NUMBERS = TensorDataset(torch.arange(20))


class Noisy(Dataset[Tensor]):
    """Every example draws from all three global generators, as augmentations do."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Tensor:
        drawn = random.random() + np.random.rand() + torch.rand(1).item()  # noqa: NPY002
        return torch.tensor([index, drawn], dtype=torch.float64)


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(9))


class Shrinking(Sampler[list[int]]):
    """Has a batch less in every epoch."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[list[int]]:
        return iter([[0], [1], [2]][self.epoch :])


def tensors(batches: Batches, order: list[int]) -> list[Tensor]:
    found = {index: batches[index] for index in order}
    return [each[0] if isinstance(each, list) else each for _, each in sorted(found.items())]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def loaders() -> dict[str, DataLoader[Any]]:
    weights = torch.arange(20) / 20
    own = torch.Generator().manual_seed(7)
    return {
        "shuffled": DataLoader(NUMBERS, 6, shuffle=True),
        "own generator": DataLoader(NUMBERS, 6, shuffle=True, generator=own),
        "weighted": DataLoader(NUMBERS, 6, sampler=WeightedRandomSampler(weights.tolist(), 20)),
        "noisy": DataLoader(Noisy(), 6, shuffle=True, num_workers=2),
    }


@pytest.mark.parametrize("name", loaders())
def test_a_batch_depends_on_seed_and_index_alone(name: str) -> None:
    straight = tensors(Batches(loaders()[name], 3), list(range(9)))
    before = capture()
    torch.manual_seed(99)
    backwards = Batches(loaders()[name], 3)
    backwards[17]
    assert equal(tensors(backwards, list(range(8, -1, -1))), straight)
    assert not equal(tensors(Batches(loaders()[name], 4), list(range(9))), straight)
    assert not equal(straight[:4], straight[4:8]), "another epoch has another order"
    torch.set_rng_state(before["torch"])


def test_it_leaves_the_global_generators_alone() -> None:
    batches = Batches(loaders()["noisy"], 3)
    before = capture()
    batches[0]
    after = capture()
    assert torch.equal(before.pop("torch"), after.pop("torch"))
    assert str(before) == str(after)


def test_an_epoch_has_every_example_once_and_the_loaders_last_batch() -> None:
    batches = Batches(loaders()["shuffled"], 3)
    assert batches.per_epoch == 4
    first = tensors(batches, [0, 1, 2, 3])
    assert [len(each) for each in first] == [6, 6, 6, 2]
    assert sorted(torch.cat(first).tolist()) == list(range(20))


def test_what_is_not_shuffled_is_what_the_loader_gives() -> None:
    loader = DataLoader(NUMBERS, 6, collate_fn=lambda rows: torch.stack([row[0] for row in rows]))
    assert equal(tensors(Batches(loader, 3), [0, 1, 2, 3]), list(loader))


@pytest.mark.parametrize(
    ("loader", "error", "message"),
    [
        ([1, 2], TypeError, "one torch DataLoader, got list"),
        (DataLoader(Endless(), 2), TypeError, "no IterableDataset"),
        (DataLoader(NUMBERS, batch_size=None), TypeError, "no batch_size=None"),
        (DataLoader(NUMBERS, 21, drop_last=True), ValueError, "at least 1 batch"),
    ],
)
def test_what_has_no_numbers_is_refused(loader: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Batches(loader, 0)


def test_epochs_of_unequal_length_are_refused() -> None:
    batches = Batches(DataLoader(NUMBERS, batch_sampler=Shrinking()), 0)
    assert batches[2][0].item() == 2
    with pytest.raises(ValueError, match=r"len.batch_sampler., 3, got 2 in epoch 1: Shrinking"):
        batches[3]
