"""Accelerate: accumulation, clipping, mixed precision, save_state and load_state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from replay import assert_equal, example, replay

accelerate = pytest.importorskip("accelerate")
# The examples train on the images that the laboratory embeds.
embedded = pytest.importorskip("adabelief_lab.data.fashion_mnist").embedded
pytestmark = pytest.mark.slow


def cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(images).float(), labels)


def by_hand(epochs: int, *, autocast: bool) -> tuple[nn.Module, AdaBelief]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = AdaBelief(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    data = embedded()
    images = torch.tensor(data.train_images[:1000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:1000], dtype=torch.int64)
    batches = zip(images.chunk(20), labels.chunk(20), strict=True)
    losses: list[Callable[[], Tensor]] = [partial(cross_entropy, model, *pair) for pair in batches]
    replay(
        model, optimizer, losses * epochs, accumulate=2, clip=1.0, autocast=autocast,
        schedule=schedule,
    )  # fmt: skip
    return model, optimizer


@pytest.fixture
def prepare() -> Any:
    """The example's function; Accelerator is a singleton, so each test starts it anew."""
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    return example("accelerate_loop").train


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_loop_of_accelerate_is_the_plain_loop(
    prepare: Any, precision: str, tmp_path: Path
) -> None:
    accelerator = accelerate.Accelerator(
        cpu=True, gradient_accumulation_steps=2, mixed_precision=precision
    )
    model, optimizer = prepare(accelerator, tmp_path, range(1))
    truth, true = by_hand(1, autocast=precision == "bf16")
    assert_equal(model.parameters(), optimizer, truth.parameters(), true)


def test_saved_and_resumed_it_goes_on_as_if_it_had_not_stopped(
    prepare: Any, tmp_path: Path
) -> None:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    prepare(accelerator, tmp_path, range(1))
    accelerator.free_memory()
    model, optimizer = prepare(accelerator, tmp_path, range(1, 2))
    truth, true = by_hand(2, autocast=False)
    assert_equal(model.parameters(), optimizer, truth.parameters(), true)


def test_the_example_runs(prepare: Any) -> None:
    example("accelerate_loop").main()
