"""Images with boxes in PASCAL VOC's layout: trees, embedded, or VOC from the user's folder."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import embedded
from adabelief_lab.data.voc_annotation import Annotation, parse

if TYPE_CHECKING:  # elsewhere in Python 3.10
    from importlib.resources.abc import Traversable

Name = Literal["trees", "voc2012", "voc0712"]

EMBEDDED = "trees_voc.zip"
EMBEDDED_SHA256 = "ee32b172ae38ea7769c7cd79d4f1f4a61957806be140f4c6f19aad0f272d977b"
VARIABLE = "ADABELIEF_VOC"
DEVKIT = "VOCdevkit"
HOME = "host.robots.ox.ac.uk/pascal/VOC"

TREES = ("tree",)
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class ImageSet:
    """One list of images: `<year>/ImageSets/Main/<name>.txt`.

    Args:
        year: folder in VOCdevkit.
        name: of the list.
        images: how many it has to have.
        archive: file in which all of it is distributed.
    """

    year: str
    name: str
    images: int
    archive: str = EMBEDDED


@dataclass(frozen=True)
class Layout:
    """Classes, and the lists that are trained and tested on."""

    classes: tuple[str, ...]
    train: tuple[ImageSet, ...]
    test: tuple[ImageSet, ...]


_IN_2007, _IN_2012 = "VOCtrainval_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar"
LAYOUTS: Mapping[Name, Layout] = {
    "trees": Layout(TREES, (ImageSet("VOC2012", "train", 117),), (ImageSet("VOC2012", "val", 30),)),
    "voc2012": Layout(
        CLASSES,
        (ImageSet("VOC2012", "train", 5717, _IN_2012),),
        (ImageSet("VOC2012", "val", 5823, _IN_2012),),
    ),
    # The usual one of papers: there are no public boxes for the test images of 2012.
    "voc0712": Layout(
        CLASSES,
        (
            ImageSet("VOC2007", "trainval", 5011, _IN_2007),
            ImageSet("VOC2012", "trainval", 11540, _IN_2012),
        ),
        (ImageSet("VOC2007", "test", 4952, "VOCtest_06-Nov-2007.tar"),),
    ),
}


def images(name: Name) -> int:
    """How many there are to train on."""
    return sum(each.images for each in LAYOUTS[name].train)


@dataclass(frozen=True)
class Picture:
    """One image and what is in it.

    Args:
        file: the JPEG.
        objects: what its annotation says.
    """

    file: Traversable
    objects: Annotation

    def pixels(self) -> NDArray[np.uint8]:
        """Decode the image: (3, height, width), RGB.

        Raises:
            LabError: it cannot be read, or has another size than its annotation says.
        """
        from PIL import Image  # noqa: PLC0415, slow to import

        try:
            with Image.open(io.BytesIO(self.file.read_bytes())) as image:
                pixels = np.array(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            msg = f"{self.file}: cannot be read as an image: {error}"
            raise LabError(msg) from error
        if pixels.shape[1::-1] != self.objects.size:
            found, said = pixels.shape[1::-1], self.objects.size
            msg = (
                f"{self.file}: must have the {said[0]} × {said[1]} pixels of its annotation, "
                f"got {found[0]} × {found[1]}"
            )
            raise LabError(msg)
        return pixels.transpose(2, 0, 1)


@dataclass(frozen=True)
class VOC:
    """Pictures to train and to test on; none is among both."""

    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    test: tuple[Picture, ...]


def load(name: Name) -> VOC:
    """The embedded trees, or VOC from the folder that ADABELIEF_VOC names.

    The folder is VOCdevkit, or holds it, or is VOC2012 within it.

    Raises:
        MissingDataError: files are missing; the message names them and where to get them.
        LabError: files are damaged or of another version.
    """
    if name not in LAYOUTS:
        msg = f"VOC data must be {', '.join(LAYOUTS)}, got {name!r}"
        raise LabError(msg)
    if name == "trees":
        return read(_embedded(), LAYOUTS[name])
    folder = os.environ.get(VARIABLE)
    if not folder:
        years = sorted({each.year for each in (*LAYOUTS[name].train, *LAYOUTS[name].test)})
        msg = f"set {VARIABLE} to the folder {DEVKIT} with {' and '.join(years)} from {HOME}"
        raise MissingDataError(msg)
    return read(_devkit(Path(folder)), LAYOUTS[name])


def read(devkit: Traversable, layout: Layout) -> VOC:
    """All annotations of `layout`; images are only known to be there, `Picture.pixels` reads them.

    Args:
        devkit: with a folder for each year.
        layout: which lists, of how many images.

    Raises:
        MissingDataError: files are missing; the message names the first ones.
        LabError: a list of another length, a damaged annotation, or an image in both splits.
    """
    names = {each: _listed(devkit, each) for each in (*layout.train, *layout.test)}
    train, test = (
        {(each.year, name) for each in part for name in names[each]}
        for part in (layout.train, layout.test)
    )
    if both := sorted(train & test):
        msg = f"{devkit}: {_some(['/'.join(each) for each in both])} would train and test"
        raise LabError(msg)
    for each, listed in names.items():
        _check_there(devkit, each, listed)

    def pictures(part: Sequence[ImageSet]) -> tuple[Picture, ...]:
        return tuple(
            _picture(devkit.joinpath(each.year), name, layout.classes)
            for each in part
            for name in names[each]
        )

    return VOC(layout.classes, pictures(layout.train), pictures(layout.test))


def _embedded() -> Traversable:
    packed = embedded.read(EMBEDDED, EMBEDDED_SHA256)
    archive = zipfile.ZipFile(io.BytesIO(packed))
    archive.filename = EMBEDDED  # for messages
    return zipfile.Path(archive, f"{DEVKIT}/")


def _devkit(folder: Path) -> Path:
    if (folder / DEVKIT).is_dir():
        return folder / DEVKIT
    return folder.parent if (folder / "ImageSets").is_dir() else folder


def _listed(devkit: Traversable, wanted: ImageSet) -> list[str]:
    """Names of the images in one list."""
    file = devkit.joinpath(wanted.year, "ImageSets", "Main", f"{wanted.name}.txt")
    if not file.is_file():
        raise _missing(devkit, [f"{wanted.year}/ImageSets/Main/{wanted.name}.txt"], wanted)
    names = file.read_text("utf-8").split()
    if len(set(names)) != len(names) or len(names) != wanted.images:
        msg = f"{file}: must list {wanted.images} different images, got {len(set(names))}"
        raise LabError(msg)
    return names


def _check_there(devkit: Traversable, wanted: ImageSet, names: Sequence[str]) -> None:
    missing = []
    for folder, ending in (("Annotations", ".xml"), ("JPEGImages", ".jpg")):
        place = devkit.joinpath(wanted.year, folder)
        there = {each.name for each in place.iterdir()} if place.is_dir() else set()
        missing += [
            f"{wanted.year}/{folder}/{name}{ending}"
            for name in names
            if f"{name}{ending}" not in there
        ]
    if missing:
        raise _missing(devkit, missing, wanted)


def _missing(devkit: Traversable, files: Sequence[str], wanted: ImageSet) -> MissingDataError:
    return MissingDataError(
        f"VOC in {devkit}: missing {_some(files)}. They are in {wanted.archive}, {HOME}"
    )


def _picture(year: Traversable, name: str, classes: Sequence[str]) -> Picture:
    file = year.joinpath("Annotations", f"{name}.xml")
    objects = parse(file.read_bytes(), classes, str(file))
    return Picture(year.joinpath("JPEGImages", f"{name}.jpg"), objects)


def _some(files: Sequence[str]) -> str:
    """The first three, and how many more."""
    rest = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(files[:3]) + rest
