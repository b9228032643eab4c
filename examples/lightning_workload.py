"""Your LightningModule as a workload: the module as it is, and a declaration below it.

Run it with: adabelief compare examples/lightning_workload.py:workload
"""

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from adabelief_lab.data.fashion_mnist import embedded
from adabelief_lab.declare.workload import Metric, Preset
from adabelief_lab.tasks.lightning import Loaders, lightning_workload


class Classifier(LightningModule):
    """A small MLP; `configure_optimizers` is not needed here, and ignored if there is one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """What is logged here is measured, on validation and on test data."""
        outputs = self.net(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(outputs, batch[1]))
        self.log("val_accuracy", (outputs.argmax(1) == batch[1]).float().mean())


def data(_: Preset) -> Loaders:
    """Fashion-MNIST: 8,000 images to train on, 2,000 that tune, 2,000 for final runs."""
    found = embedded()
    x = torch.tensor(found.train_images, dtype=torch.float32).flatten(1) / 255
    known = TensorDataset(x, torch.tensor(found.train_labels, dtype=torch.int64))
    x = torch.tensor(found.test_images, dtype=torch.float32).flatten(1) / 255
    final = TensorDataset(x, torch.tensor(found.test_labels, dtype=torch.int64))
    train = Subset(known, [index for index in range(len(known)) if index % 5])
    valid = Subset(known, range(0, len(known), 5))
    shuffled = DataLoader(train, batch_size=64, shuffle=True)
    return Loaders(shuffled, DataLoader(valid, batch_size=500), DataLoader(final, batch_size=500))


workload = lightning_workload(
    "clothes",
    module=lambda preset: Classifier(preset.options["width"]),
    data=data,  # or a function that returns a LightningDataModule
    metrics=(Metric(name="accuracy", direction="max"), Metric(name="loss", direction="min")),
    primary="accuracy",
    presets={
        "quick": Preset(steps=500, eval_every=50, trials=5, seeds=8, options={"width": 64}),
        "smoke": Preset(steps=30, eval_every=3, trials=2, seeds=2, options={"width": 8}),
    },
    source="Fashion-MNIST (Zalando SE, 2017, MIT licence), 10,000 of its images",
)
