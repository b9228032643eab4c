"""Conditional ResNets for 32 × 32 images: Miyato et al. 2018, Table 4; Miyato & Koyama 2018.

The critic's layers are divided by their largest singular value (torch's own parametrization), and
it is told the class by a projection; the generator is told by its batch normalisations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

SIZE = 32
_SMALLEST = 4  # height and width of what is first made of noise


class Generator(nn.Module):
    """Noise (n, latent) and labels (n,) -> images (n, channels, 32, 32) in [-1, 1].

    Args:
        latent: numbers of a noise vector.
        width: channels of every layer.
        channels: of the image.
        classes: number of classes.
    """

    def __init__(self, latent: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Linear(latent, width * _SMALLEST**2)
        self.blocks = nn.ModuleList(_Up(width, classes) for _ in range(3))
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        _initialize(self)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Images."""
        x = self.first(noise).view(-1, self.width, _SMALLEST, _SMALLEST)
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.last(functional.relu(self.norm(x))))


class Critic(nn.Module):
    """Images (n, channels, 32, 32) and labels (n,) -> scores (n,).

    Args:
        width: channels of every layer.
        channels: of the image.
        classes: number of classes.
    """

    def __init__(self, width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _Down(channels, width, down=True, first=True),
            _Down(width, width, down=True),
            _Down(width, width, down=False),
            _Down(width, width, down=False),
        )
        self.score = nn.Linear(width, 1)
        self.classes = nn.Embedding(classes, width)
        _initialize(self)
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                spectral_norm(module)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Scores: ψ(φ(x)) + yᵀ V φ(x), Miyato & Koyama 2018, equation 3."""
        found = functional.relu(self.blocks(images)).sum(dim=(2, 3))
        return self.score(found).squeeze(1) + (self.classes(labels) * found).sum(dim=1)


class _ConditionalNorm(nn.Module):
    """Batch normalisation with a gain and a bias for each class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gain = nn.Parameter(torch.ones(classes, width))
        self.bias = nn.Parameter(torch.zeros(classes, width))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, bias = (each[labels][:, :, None, None] for each in (self.gain, self.bias))
        return self.norm(x) * gain + bias


class _Up(nn.Module):
    """A residual block that doubles height and width."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_ConditionalNorm(width, classes) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.shortcut = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        y = _doubled(functional.relu(self.norms[0](x, labels)))
        y = functional.relu(self.norms[1](self.convolutions[0](y), labels))
        return self.convolutions[1](y) + self.shortcut(_doubled(x))


class _Down(nn.Module):
    """A residual block; `down` halves height and width; the `first` one begins with the image."""

    def __init__(self, into: int, width: int, *, down: bool, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(into, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)]
        )
        changes = down or into != width
        self.shortcut: nn.Module = nn.Conv2d(into, width, 1) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.first else functional.relu(x)
        y = self.convolutions[1](functional.relu(self.convolutions[0](y)))
        # The mean before the convolution is the mean after it, at a quarter of the work.
        shortcut = self.shortcut(_halved(x) if self.down else x)
        return (_halved(y) if self.down else y) + shortcut


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _halved(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 2)


def _initialize(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(module.weight)
            if not isinstance(module, nn.Embedding) and module.bias is not None:
                nn.init.zeros_(module.bias)
