"""The models whose parameters are stepped: lists of shapes, the real ones of known networks."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A name for `--shapes`, a title for tables, and the shapes of all parameters in order."""

    name: str
    title: str
    shapes: tuple[Shape, ...]

    @property
    def tensors(self) -> int:
        """How many tensors there are."""
        return len(self.shapes)

    @property
    def parameters(self) -> int:
        """How many numbers there are in all of them."""
        return sum(math.prod(shape) for shape in self.shapes)


def _norm(channels: int) -> Iterator[Shape]:
    """Weight and bias of a normalisation."""
    yield (channels,)
    yield (channels,)


def _resnet34() -> Iterator[Shape]:
    """He et al. 2016 (arXiv:1512.03385), Table 1, for ImageNet's 1,000 classes."""
    yield (64, 3, 7, 7)
    yield from _norm(64)
    before = 64
    for channels, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(blocks):
            for wide in (before, channels):
                yield (channels, wide, 3, 3)
                yield from _norm(channels)
            if before != channels:  # the shortcut's projection, option B of the paper
                yield (channels, before, 1, 1)
                yield from _norm(channels)
            before = channels
    yield (1000, 512)
    yield (1000,)


def _densenet121() -> Iterator[Shape]:
    """Huang et al. 2017 (arXiv:1608.06993), Table 1, growth rate 32, bottlenecks of 4 x 32."""
    yield (64, 3, 7, 7)
    yield from _norm(64)
    channels, blocks = 64, (6, 12, 24, 16)
    for number, layers in enumerate(blocks, start=1):
        for _ in range(layers):
            yield from _norm(channels)
            yield (128, channels, 1, 1)
            yield from _norm(128)
            yield (32, 128, 3, 3)
            channels += 32
        if number < len(blocks):  # a transition halves the channels
            yield from _norm(channels)
            yield (channels // 2, channels, 1, 1)
            channels //= 2
    yield from _norm(channels)
    yield (1000, channels)
    yield (1000,)


def _gpt2_small() -> Iterator[Shape]:
    """Radford et al. 2019: 12 layers of 768, 1,024 positions, 50,257 words; the head is tied."""
    width = 768
    yield (50_257, width)
    yield (1_024, width)
    for _ in range(12):
        yield from _norm(width)
        for into, out in ((width, 3 * width), (width, width)):  # attention
            yield (into, out)
            yield (out,)
        yield from _norm(width)
        for into, out in ((width, 4 * width), (4 * width, width)):  # perceptron
            yield (into, out)
            yield (out,)
    yield from _norm(width)


def equal(tensors: int, elements: int) -> Model:
    """So many tensors of so many elements each; its name is what `--shapes` understands."""
    title = f"{tensors:,} × {elements:,}"
    return Model(f"{tensors}x{elements}", title, ((elements,),) * tensors)


MODELS = {
    model.name: model
    for model in (
        Model("16m", "1 × 16 M", ((1 << 24,),)),
        Model("resnet34", "ResNet-34", tuple(_resnet34())),
        Model("densenet121", "DenseNet121", tuple(_densenet121())),
        Model("gpt2", "GPT-2 small", tuple(_gpt2_small())),
        equal(364, 1_024),
        equal(1_000, 64),
    )
}


def model(name: str) -> Model:
    """The model of that name, or of that many equal tensors ("364x1024").

    Raises:
        ValueError: there is none; the message has those there are.
    """
    if name in MODELS:
        return MODELS[name]
    counts = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", name)
    if counts:
        return equal(int(counts[1]), int(counts[2]))
    close = difflib.get_close_matches(name.lower(), MODELS, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    msg = (
        f"unknown shape {name!r}: {hint}choose from {', '.join(MODELS)}, "
        "or give TENSORSxELEMENTS such as 256x4096"
    )
    raise ValueError(msg)
