"""Generator and critic after Radford et al. 2016 (DCGAN): transposed and strided convolutions."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

Norm = Literal["batch", "layer", "none"]

_SMALLEST = 4  # height and width of what is first made of noise
_SLOPE = 0.2  # of LeakyReLU: Radford et al. 2016, section 4
_DEVIATION = 0.02  # of all weights: the same


class Generator(nn.Module):
    """Noise (n, latent) -> images (n, channels, size, size) in [-1, 1].

    Args:
        latent: numbers of a noise vector.
        width: channels before the image; twice as many at each half of the size.
        channels: of the image.
        size: height and width of the image, a power of two, at least 8.

    Raises:
        ValueError: another size.
    """

    def __init__(self, latent: int, width: int, channels: int, size: int) -> None:
        super().__init__()
        doublings = _doublings(size)
        widest = width * 2 ** (doublings - 1)
        layers = _up(latent, widest, stride=1, padding=0)
        for place in range(doublings - 1, 0, -1):
            layers += _up(width * 2**place, width * 2 ** (place - 1), stride=2, padding=1)
        last = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())
        _initialize(self)

    def forward(self, noise: Tensor) -> Tensor:
        """Images."""
        return self.layers(noise[:, :, None, None])


class Critic(nn.Module):
    """Images (n, channels, size, size) -> scores (n,).

    Args:
        width: channels after the first layer; twice as many at each half of the size.
        channels: of the image.
        size: as the generator's.
        norm: between layers: "batch"; "layer", which does not mix images, as Gulrajani et al.
            2017 want it for their penalty; or "none".
        sigmoid: scores in (0, 1), as in the code of Zhuang et al. 2020; else any number.

    Raises:
        ValueError: a size that is not a power of two.
    """

    def __init__(
        self, width: int, channels: int, size: int, *, norm: Norm = "batch", sigmoid: bool = False
    ) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False)]
        modules: list[nn.Module] = [*layers, nn.LeakyReLU(_SLOPE)]
        for place in range(_doublings(size) - 1):
            into, out = width * 2**place, width * 2 ** (place + 1)
            modules.append(nn.Conv2d(into, out, 4, stride=2, padding=1, bias=norm == "none"))
            modules += _norm(norm, out)
            modules.append(nn.LeakyReLU(_SLOPE))
        widest = width * 2 ** (_doublings(size) - 1)
        modules.append(nn.Conv2d(widest, 1, _SMALLEST, bias=False))
        self.layers = nn.Sequential(*modules, *([nn.Sigmoid()] if sigmoid else []))
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Scores."""
        return self.layers(images).flatten()


def _doublings(size: int) -> int:
    doublings = int(math.log2(size)) - 2 if size > 0 else 0
    if doublings < 1 or _SMALLEST * 2**doublings != size:
        msg = f"size must be a power of two of at least {2 * _SMALLEST}, got {size}"
        raise ValueError(msg)
    return doublings


def _up(into: int, out: int, *, stride: int, padding: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(into, out, 4, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU()]


def _norm(norm: Norm, channels: int) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if norm == "layer" else []


def _initialize(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, _DEVIATION)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, _DEVIATION)
            nn.init.zeros_(module.bias)
