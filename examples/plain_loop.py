"""A training loop with all that stands around an optimizer: schedule, mixed precision, averaging.

Run it with: python examples/plain_loop.py
"""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from adabelief import AdaBelief
from adabelief_lab.data.fashion_mnist import embedded


def images_and_labels(count: int) -> tuple[Tensor, Tensor]:
    """The first images of Fashion-MNIST as vectors with elements in [0, 1]."""
    data = embedded()
    images = torch.tensor(data.train_images[:count], dtype=torch.float32).flatten(1) / 255
    return images, torch.tensor(data.train_labels[:count], dtype=torch.int64)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The part of the images that the model puts into the right class."""
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).float().mean())


def main() -> tuple[float, float]:
    """Train, print and return the accuracies of the model and of its moving average."""
    torch.manual_seed(0)
    images, labels = images_and_labels(5000)
    test = images[4000:], labels[4000:]
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    optimizer = AdaBelief(model.parameters(), lr=1e-3, eps=1e-12, weight_decay=1e-2)
    rise, fall = LinearLR(optimizer, 0.1, 1, 20), CosineAnnealingLR(optimizer, 140)
    schedule = SequentialLR(optimizer, [rise, fall], [20])
    scaler = torch.amp.GradScaler("cpu")  # float16 needs it: small gradients would become zero

    for _ in range(2):
        for batch in torch.arange(4000).split(50):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)  # clipping and the optimizer see true gradients
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)  # skipped when a gradient is infinite
            scaler.update()
            schedule.step()
            average.update_parameters(model)

    found = accuracy(model, *test), accuracy(average, *test)
    print(f"accuracy: model {found[0]:.3f}, moving average {found[1]:.3f}")
    return found


if __name__ == "__main__":
    main()
