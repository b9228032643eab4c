"""Tiny folders of images in ImageNet's layout, for the tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("n01", "n02", "n03")
# Of every kind that ImageNet has: wide, high, smaller than what is cut out, grey, CMYK, a PNG.
SIZES = ((70, 50), (45, 80), (40, 40), (24, 30), (64, 64))


def write(root: Path, train: int = 12, val: int = 5) -> Path:
    """Images of three classes, each of one colour with noise; returns the folder."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                width, height = SIZES[number % len(SIZES)]
                pixels = random.integers(0, 120, (height, width, 3), dtype=np.uint8)
                pixels[..., label] += 120
                image = Image.fromarray(pixels)
                if number == 1:
                    image = image.convert("L")
                if number == 2:
                    image = image.convert("CMYK")
                # ImageNet's files are all called JPEG; one of them is a PNG.
                kind = "PNG" if number == 3 else "JPEG"
                image.save(folder / f"{name}_{number}.JPEG", kind)
    return root
