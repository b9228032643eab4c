"""Hugging Face Trainer with AdaBelief, in both ways: an optimizer, or its class and arguments.

Run it with: python examples/huggingface_trainer.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import ConvNextConfig, ConvNextForImageClassification, Trainer, TrainingArguments

from adabelief import AdaBelief
from adabelief_lab.data.fashion_mnist import embedded

OPTIONS: dict[str, Any] = {"lr": 1e-3, "eps": 1e-16, "weight_decay": 1e-2}


def network() -> ConvNextForImageClassification:
    """A tiny ConvNeXt with random weights; nothing is downloaded."""
    torch.manual_seed(0)
    images: dict[str, Any] = {"num_channels": 1, "image_size": 28, "num_labels": 10}
    config = ConvNextConfig(hidden_sizes=[16, 32], depths=[1, 1], num_stages=2, **images)
    return ConvNextForImageClassification(config)


def images(count: int) -> list[dict[str, Any]]:
    """The first images of Fashion-MNIST, one dict each, as Trainer wants them."""
    data = embedded()
    pixels = torch.tensor(data.train_images[:count], dtype=torch.float32).unsqueeze(1) / 255
    labels = data.train_labels[:count].tolist()
    return [{"pixel_values": x, "labels": y} for x, y in zip(pixels, labels, strict=True)]


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    """What both ways have in common; Trainer's own schedule is linear, down to zero."""
    defaults = {"max_steps": 20, "per_device_train_batch_size": 25, "disable_tqdm": True}
    quiet = {"report_to": "none", "use_cpu": True, "save_strategy": "no"}
    return TrainingArguments(str(folder), **{**defaults, **quiet, **options})


def main() -> None:
    """Train twice."""
    with TemporaryDirectory() as folder:
        settings, data = arguments(Path(folder)), images(500)
        # 1: an optimizer with parameter groups as you like; Trainer adds the schedule.
        model = network()
        optimizer = AdaBelief(model.parameters(), **OPTIONS)
        Trainer(model, settings, train_dataset=data, optimizers=(optimizer, None)).train()
        # 2: class and arguments; Trainer makes the groups, without decay for biases and norms.
        recipe = (AdaBelief, OPTIONS)
        Trainer(network(), settings, train_dataset=data, optimizer_cls_and_kwargs=recipe).train()


if __name__ == "__main__":
    main()
