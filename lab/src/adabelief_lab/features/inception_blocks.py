"""Inception's blocks (Szegedy et al. 2015, figures 5 to 7 and 10), declared as chains of layers."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Pool = Literal["mean", "maximum", "halving"]


class Conv(nn.Module):
    """A convolution without bias, its normalisation, and ReLU.

    Args:
        into: channels of what comes.
        out: channels of what goes.
        kernel: height and width.
        stride: 2 halves height and width, without padding.
        padding: as much as keeps height and width, if None and the stride is 1.
    """

    def __init__(
        self,
        into: int,
        out: int,
        kernel: tuple[int, int],
        *,
        stride: int = 1,
        padding: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if padding is None:
            padding = (0, 0) if stride > 1 else (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(into, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """The same, of another size."""
        return functional.relu(self.bn(self.conv(x)))


class Layer(NamedTuple):
    """A convolution of a chain: name in the file of weights, channels, kernel, stride."""

    name: str
    out: int
    height: int
    width: int
    stride: int = 1


# Layers one after the other; where several stand together, each has the same input.
Chain = tuple[Layer | tuple[Layer, ...], ...]


class Block(nn.Module):
    """Chains side by side, and a pool; their outputs are concatenated.

    Args:
        into: channels of what comes.
        chains: all begin with the block's input.
        pool: 3 × 3; "mean" does not count padding, "halving" is a maximum that halves the size.
        pooled: channels of a convolution after the pool; none if 0.
    """

    def __init__(self, into: int, chains: tuple[Chain, ...], pool: Pool, pooled: int = 0) -> None:
        super().__init__()
        self._pool, self._pooled = pool, pooled
        self._chains: list[list[list[str]]] = []
        for chain in chains:
            channels, names = into, []
            for stage in chain:
                layers = (stage,) if isinstance(stage, Layer) else stage
                for one in layers:
                    kernel = (one.height, one.width)
                    self.add_module(one.name, Conv(channels, one.out, kernel, stride=one.stride))
                names.append([one.name for one in layers])
                channels = sum(one.out for one in layers)
            self._chains.append(names)
        if pooled:
            self.branch_pool = Conv(into, pooled, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of all chains, then the pool's."""
        outputs = []
        for chain in self._chains:
            y = x
            for names in chain:
                y = torch.cat([self.get_submodule(name)(y) for name in names], dim=1)
            outputs.append(y)
        y = self._of_pool(x)
        outputs.append(self.branch_pool(y) if self._pooled else y)
        return torch.cat(outputs, dim=1)

    def _of_pool(self, x: Tensor) -> Tensor:
        if self._pool == "mean":
            return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        if self._pool == "maximum":
            return functional.max_pool2d(x, 3, stride=1, padding=1)
        return functional.max_pool2d(x, 3, stride=2)


def block_a(into: int, pooled: int) -> Block:
    """35 × 35."""
    chains: tuple[Chain, ...] = (
        (Layer("branch1x1", 64, 1, 1),),
        (Layer("branch5x5_1", 48, 1, 1), Layer("branch5x5_2", 64, 5, 5)),
        (
            Layer("branch3x3dbl_1", 64, 1, 1), Layer("branch3x3dbl_2", 96, 3, 3),
            Layer("branch3x3dbl_3", 96, 3, 3),
        ),
    )  # fmt: skip
    return Block(into, chains, "mean", pooled)


def block_b(into: int) -> Block:
    """35 × 35 -> 17 × 17."""
    chains: tuple[Chain, ...] = (
        (Layer("branch3x3", 384, 3, 3, 2),),
        (
            Layer("branch3x3dbl_1", 64, 1, 1), Layer("branch3x3dbl_2", 96, 3, 3),
            Layer("branch3x3dbl_3", 96, 3, 3, 2),
        ),
    )  # fmt: skip
    return Block(into, chains, "halving")


def block_c(into: int, inner: int) -> Block:
    """17 × 17."""
    chains: tuple[Chain, ...] = (
        (Layer("branch1x1", 192, 1, 1),),
        (
            Layer("branch7x7_1", inner, 1, 1), Layer("branch7x7_2", inner, 1, 7),
            Layer("branch7x7_3", 192, 7, 1),
        ),
        (
            Layer("branch7x7dbl_1", inner, 1, 1), Layer("branch7x7dbl_2", inner, 7, 1),
            Layer("branch7x7dbl_3", inner, 1, 7), Layer("branch7x7dbl_4", inner, 7, 1),
            Layer("branch7x7dbl_5", 192, 1, 7),
        ),
    )  # fmt: skip
    return Block(into, chains, "mean", 192)


def block_d(into: int) -> Block:
    """17 × 17 -> 8 × 8."""
    chains: tuple[Chain, ...] = (
        (Layer("branch3x3_1", 192, 1, 1), Layer("branch3x3_2", 320, 3, 3, 2)),
        (
            Layer("branch7x7x3_1", 192, 1, 1), Layer("branch7x7x3_2", 192, 1, 7),
            Layer("branch7x7x3_3", 192, 7, 1), Layer("branch7x7x3_4", 192, 3, 3, 2),
        ),
    )  # fmt: skip
    return Block(into, chains, "halving")


def block_e(into: int, *, by_maximum: bool = False) -> Block:
    """8 × 8."""
    chains: tuple[Chain, ...] = (
        (Layer("branch1x1", 320, 1, 1),),
        (
            Layer("branch3x3_1", 384, 1, 1),
            (Layer("branch3x3_2a", 384, 1, 3), Layer("branch3x3_2b", 384, 3, 1)),
        ),
        (
            Layer("branch3x3dbl_1", 448, 1, 1), Layer("branch3x3dbl_2", 384, 3, 3),
            (Layer("branch3x3dbl_3a", 384, 1, 3), Layer("branch3x3dbl_3b", 384, 3, 1)),
        ),
    )  # fmt: skip
    return Block(into, chains, "maximum" if by_maximum else "mean", 192)
