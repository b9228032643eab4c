"""Lightning: AdaBelief with a schedule, stopped after one epoch and resumed from its checkpoint.

Run it with: python examples/lightning_module.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adabelief import AdaBelief
from adabelief_lab.data.fashion_mnist import embedded


class Classifier(LightningModule):
    """A small MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Loss of one batch; Lightning calls it within `optimizer.step(closure)`."""
        images, labels = batch
        return nn.functional.cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> Any:
        """An optimizer, and a schedule that moves after every step."""
        optimizer = AdaBelief(self.parameters(), lr=1e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=80)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def fit(folder: Path, *, epochs: int, checkpoint: Path | None = None, **options: Any) -> Trainer:
    """Train up to that epoch, from the beginning or from a checkpoint."""
    torch.manual_seed(0)
    data = embedded()
    images = torch.tensor(data.train_images[:2000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:2000], dtype=torch.int64)
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", default_root_dir=folder, **options)
    loader = DataLoader(TensorDataset(images, labels), batch_size=50)
    trainer.fit(Classifier(), loader, ckpt_path=checkpoint)
    return trainer


def main() -> None:
    """One epoch, and then the second from the checkpoint of the first."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        fit(folder, epochs=1).save_checkpoint(folder / "epoch.ckpt")
        fit(folder, epochs=2, checkpoint=folder / "epoch.ckpt", gradient_clip_val=1.0)


if __name__ == "__main__":
    main()
