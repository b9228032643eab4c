"""Images as bytes -> what networks are trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
