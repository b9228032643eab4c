"""Hugging Face Accelerate: the same loop on one CPU or many GPUs (`accelerate launch`).

Run it with: python examples/accelerate_loop.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adabelief import AdaBelief
from adabelief_lab.data.fashion_mnist import embedded


def train(accelerator: Accelerator, folder: Path, epochs: range) -> tuple[nn.Module, AdaBelief]:
    """Train, averaging the gradients of every two batches, and save to `folder`.

    If `epochs` do not start at 0, go on from what is saved there.
    """
    torch.manual_seed(0)
    data = embedded()
    images = torch.tensor(data.train_images[:1000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:1000], dtype=torch.int64)
    loader = DataLoader(TensorDataset(images, labels), batch_size=50)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = AdaBelief(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    model, prepared, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
    if epochs.start > 0:
        accelerator.load_state(str(folder))  # model, optimizer, schedule, random numbers

    for _ in epochs:
        for batch, target in loader:
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(batch), target)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                prepared.step()  # does nothing at every first batch of two
                schedule.step()
                prepared.zero_grad()
    accelerator.save_state(str(folder))
    return accelerator.unwrap_model(model), optimizer


def main() -> None:
    """Train for an epoch, and go on in a new model with the next one."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    with TemporaryDirectory() as folder:
        train(accelerator, Path(folder), range(1))
        accelerator.free_memory()  # forget the first model: load_state fills all that it knows
        train(accelerator, Path(folder), range(1, 2))


if __name__ == "__main__":
    main()
