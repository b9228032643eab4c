"""Each parameter is updated as soon as its gradient is there, and the gradient is freed at once.

The gradients of the whole model never exist together, which saves as much memory as the model has.
Clipping by the norm of all gradients is not possible this way.

Run it with: python examples/optimizer_in_backward.py
"""

import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief.lab.data.fashion_mnist import embedded


def update_in_backward(model: nn.Module, lr: float) -> dict[Tensor, AdaBelief]:
    """Give every parameter an optimizer of its own that acts inside `loss.backward()`."""
    optimizers: dict[Tensor, AdaBelief] = {
        param: AdaBelief([param], lr=lr) for param in model.parameters()
    }

    def step(param: Tensor) -> None:
        optimizers[param].step()
        optimizers[param].zero_grad()

    for param in model.parameters():
        param.register_post_accumulate_grad_hook(step)
    return optimizers


def main() -> nn.Module:
    """Train on the first 2,000 images of Fashion-MNIST and return the model."""
    torch.manual_seed(0)
    data = embedded()
    images = torch.tensor(data.train_images[:2000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:2000], dtype=torch.int64)
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    update_in_backward(model, lr=1e-3)  # no step() and no zero_grad() below

    losses = []
    for batch, target in zip(images.split(50), labels.split(50), strict=True):
        loss = nn.functional.cross_entropy(model(batch), target)
        loss.backward()
        losses.append(loss.item())
    print(f"loss of the first batch {losses[0]:.3f}, of the last {losses[-1]:.3f}")
    return model


if __name__ == "__main__":
    main()
