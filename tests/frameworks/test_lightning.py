"""Lightning: automatic and manual optimization, clipping, accumulation, precision, resuming."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adabelief import AdaBelief
from replay import assert_equal, example, replay

lightning = pytest.importorskip("lightning")
# The examples train on the images that the laboratory embeds.
embedded = pytest.importorskip("adabelief_lab.data.fashion_mnist").embedded
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
CASES: dict[str, dict[str, Any]] = {
    "clipped": {"gradient_clip_val": 0.5},
    "accumulated": {"accumulate_grad_batches": 2},
    "bf16-mixed": {"precision": "bf16-mixed", "gradient_clip_val": 1.0},
    "bf16-true": {"precision": "bf16-true"},
}


@pytest.fixture(scope="module")
def lightning_example() -> Any:
    return example("lightning_module")


def batches() -> list[tuple[Tensor, Tensor]]:
    data = embedded()
    images = torch.tensor(data.train_images[:2000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:2000], dtype=torch.int64)
    return list(zip(images.chunk(40), labels.chunk(40), strict=True))


def by_hand(start: Any, epochs: int, settings: dict[str, Any]) -> AdaBelief:
    """Train `start` as the trainer is told to."""
    precision = settings.get("precision")
    dtype = torch.bfloat16 if precision == "bf16-true" else torch.float32
    start.to(dtype)
    [optimizer], [schedule] = start.configure_optimizers()
    losses: list[Callable[[], Tensor]] = [
        partial(start.training_step, [images.to(dtype), labels], 0) for images, labels in batches()
    ]
    replay(
        start, optimizer, losses * epochs,
        accumulate=settings.get("accumulate_grad_batches", 1),
        clip=settings.get("gradient_clip_val"),
        autocast=precision == "bf16-mixed",
        schedule=schedule["scheduler"],
    )  # fmt: skip
    return optimizer


def check(trainer: Any, lightning_example: Any, epochs: int, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    start = lightning_example.Classifier()
    optimizer = by_hand(start, epochs, settings)
    trained = trainer.lightning_module.parameters()
    assert_equal(trained, trainer.optimizers[0], start.parameters(), optimizer)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_trainer_is_the_plain_loop(
    lightning_example: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    trainer = lightning_example.fit(tmp_path, epochs=1, **settings, **QUIET)
    check(trainer, lightning_example, 1, settings)


@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
def test_trainer_resumes_as_if_it_had_not_stopped(
    lightning_example: Any, precision: str, tmp_path: Path
) -> None:
    settings = {"precision": precision, **QUIET}
    file = tmp_path / "epoch.ckpt"
    lightning_example.fit(tmp_path, epochs=1, **settings).save_checkpoint(file)
    trainer = lightning_example.fit(tmp_path, epochs=2, checkpoint=file, **settings)
    check(trainer, lightning_example, 2, settings)


class TwoPlayers(lightning.LightningModule):  # type: ignore[name-defined]
    """Two layers, each with an optimizer of its own, updated in turn by hand, as in a GAN."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.first, self.second = nn.Linear(784, 8), nn.Linear(8, 1)

    def configure_optimizers(self) -> list[AdaBelief]:
        return [
            AdaBelief(self.first.parameters(), lr=1e-3, betas=(0.5, 0.999), eps=1e-12),
            AdaBelief(self.second.parameters(), lr=1e-2, maximize=True, weight_decay=0.1),
        ]

    def loss(self, images: Tensor) -> Tensor:
        return torch.tanh(self.second(self.first(images))).mean()

    def training_step(self, batch: list[Tensor], _: int) -> None:
        images, _labels = batch
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(self.loss(images))
            optimizer.step()


def test_two_optimizers_by_hand_are_the_plain_loop(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = TwoPlayers()
    start = copy.deepcopy(module)
    images, labels = (torch.cat(parts) for parts in zip(*batches(), strict=True))
    loader = DataLoader(TensorDataset(images, labels), batch_size=50)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, enable_checkpointing=False,
        **QUIET,
    )  # fmt: skip
    trainer.fit(module, loader)
    optimizers = start.configure_optimizers()
    for batch, _ in batches():
        for optimizer in optimizers:
            optimizer.zero_grad()
            torch.autograd.backward(start.loss(batch))
            optimizer.step()
    pairs = zip((module.first, module.second), (start.first, start.second), strict=True)
    for (layer, twin), got, true in zip(pairs, trainer.optimizers, optimizers, strict=True):
        assert_equal(layer.parameters(), got, twin.parameters(), true)


def test_the_example_runs(lightning_example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = lightning_example.fit
    monkeypatch.setattr(lightning_example, "fit", partial(fit, **QUIET))
    lightning_example.main()
