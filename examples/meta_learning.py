"""Learn AdaBelief's learning rate by gradient descent through the training itself.

`differentiable=True` lets autograd go through `optimizer.step()`: the loss after ten steps is a
differentiable function of lr. Run it: python examples/meta_learning.py
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import cross_entropy

from adabelief import AdaBelief

images, labels = load_digits(return_X_y=True)
train_x, test_x = torch.tensor(images / 16).split([1000, 797])
train_y, test_y = torch.tensor(labels).split([1000, 797])


def loss_after(log_lr: Tensor, steps: int = 10) -> Tensor:
    """Test loss of a linear classifier after some steps with lr = exp(log_lr)."""
    # Parameters of a differentiable optimizer may not be leaves: they change within the graph.
    weight = torch.zeros(10, 64, dtype=torch.float64, requires_grad=True).clone()
    optimizer = AdaBelief([weight], lr=log_lr.exp(), eps=1e-8, differentiable=True)
    for _ in range(steps):
        now = weight.clone()  # autograd saves this one; step() writes into the other
        loss = cross_entropy(train_x @ now.T, train_y)
        (weight.grad,) = torch.autograd.grad(loss, now, create_graph=True)
        optimizer.step()
    return cross_entropy(test_x @ weight.T, test_y)


def main() -> None:
    """Ten steps on log lr, from a learning rate that is far too small."""
    log_lr = torch.tensor(-7.0, dtype=torch.float64, requires_grad=True)
    meta = AdaBelief([log_lr], lr=0.5)
    for _ in range(10):
        meta.zero_grad()
        loss = loss_after(log_lr)
        torch.autograd.backward(loss)
        print(f"lr {log_lr.exp().item():.5f}  test loss {loss.item():.4f}")
        meta.step()


if __name__ == "__main__":
    main()
