"""Each parameter is stepped as soon as its gradient is there, and the gradient is freed at once.

The gradients of the whole model never exist together, which saves as much memory as the model has.
Optimizer, schedule and checkpoints are used as always; clipping by the norm of all gradients is
not possible (adabelief.release_gradients says so if one tries).

Run it with: python examples/optimizer_in_backward.py
"""

import torch
from torch import nn

from adabelief import AdaBelief, release_gradients
from adabelief_lab.data.fashion_mnist import embedded


def main() -> nn.Module:
    """Train on the first 2,000 images of Fashion-MNIST and return the model."""
    torch.manual_seed(0)
    data = embedded()
    images = torch.tensor(data.train_images[:2000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:2000], dtype=torch.int64)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = AdaBelief(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    release_gradients(model, optimizer)

    losses = []
    for batch, target in zip(images.split(50), labels.split(50), strict=True):
        loss = nn.functional.cross_entropy(model(batch), target)
        loss.backward()  # the parameters move in here
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    print(f"loss of the first batch {losses[0]:.3f}, of the last {losses[-1]:.3f}")
    return model


if __name__ == "__main__":
    main()
