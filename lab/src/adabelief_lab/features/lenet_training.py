"""How the weights of `lenet` were made: `python -m adabelief_lab.features.lenet_training FILE`.

Half a minute on one thread. On another processor sums are rounded otherwise, so that the file is
another one to the byte: what is shipped is one such file, by its digest.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from adabelief import AdaBelief
from adabelief_lab.common.atomic_files import replace
from adabelief_lab.data import small_images
from adabelief_lab.features.lenet import LeNet

_SEED, _BATCH, _EPOCHS = 1998, 100, 12
_SHIFT = 2  # pixels, at most, in each direction


def trained(epochs: int = _EPOCHS) -> LeNet:
    """Trained on the 10,000 embedded train images, mirrored and shifted; one-cycle learning rate.

    The global random state is left as it was.
    """
    images, labels = small_images.load("fashion", hold_out=False).train
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)
        network = LeNet()
        optimizer = AdaBelief(network.parameters(), lr=2e-3, weight_decay=0.01)
        steps = epochs * len(images) // _BATCH
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=2e-3, total_steps=steps, cycle_momentum=False
        )
        for _ in range(epochs):
            for chosen in torch.randperm(len(images)).split(_BATCH):
                scores = network.classes(network(_varied(images[chosen])))
                optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(scores, labels[chosen]).backward()
                optimizer.step()
                schedule.step()
    return network.eval()


def _varied(images: Tensor) -> Tensor:
    """Half of them mirrored, all shifted, the edge black."""
    n, _, height, width = images.shape
    mirrored = torch.rand(n) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    padded = functional.pad(images, (_SHIFT,) * 4)
    down, right = torch.randint(2 * _SHIFT + 1, (2, n))
    rows = down[:, None] + torch.arange(height)
    columns = right[:, None] + torch.arange(width)
    return padded[torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def accuracy(network: LeNet) -> float:
    """Of the 2,000 embedded test images."""
    images, labels = small_images.load("fashion", hold_out=False).test
    with torch.inference_mode():
        found = network.classes(network(images)).argmax(dim=1)
    return float((found == labels).float().mean())


def packed(network: LeNet) -> bytes:
    """Its state as a file."""
    file = io.BytesIO()
    np.savez_compressed(file, **{k: v.numpy() for k, v in network.state_dict().items()})
    return file.getvalue()


if __name__ == "__main__":
    torch.set_num_threads(1)
    replace(Path(sys.argv[1]), packed(trained()))
