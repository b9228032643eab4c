"""Random changes to a batch of training images, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def standardized(
    images: Tensor, mean: Sequence[float], std: Sequence[float], device: torch.device
) -> Tensor:
    """Bytes (n, c, h, w) -> (x / 255 - mean) / std by channel: float32, on `device`, channels last.

    They travel as bytes, a quarter of what the numbers are.
    """
    means, stds = (torch.tensor(each, device=device)[:, None, None] for each in (mean, std))
    there = images.to(device, non_blocking=True)
    numbers = there.to(torch.float32, memory_format=torch.channels_last)
    return numbers.div_(255).sub_(means).div_(stds)


class CropAndFlip:
    """Crop each image anew out of itself with a black frame, and mirror half of them.

    What torchvision's RandomCrop(size, padding) and RandomHorizontalFlip do to one image after
    the other, with one draw of random numbers for the whole batch.

    Args:
        padding: pixels of the frame, 1 or more.
    """

    def __init__(self, padding: int) -> None:
        if padding < 1:
            msg = f"padding must be 1 or more, got {padding}"
            raise ValueError(msg)
        self._padding = padding

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (n, c, h, w) of any dtype -> new ones of the same shape."""
        count, _, height, width = images.shape
        places = 2 * self._padding + 1
        across = torch.randint(places, (2, count), generator=generator).to(images.device)
        mirrored = torch.rand(count, generator=generator).to(images.device) < 0.5
        framed = functional.pad(images, (self._padding,) * 4)
        # Every crop of every image as a view: (n, c, places, places, h, w).
        crops = framed.unfold(2, height, 1).unfold(3, width, 1)
        chosen = crops[torch.arange(count, device=images.device), :, across[0], across[1]]
        return torch.where(mirrored[:, None, None, None], chosen.flip(-1), chosen)
