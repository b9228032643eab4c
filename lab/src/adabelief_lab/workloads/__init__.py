"""The workloads of this package by name."""

from __future__ import annotations

from collections.abc import Mapping

from adabelief_lab.declare.workload import Workload
from adabelief_lab.workloads import (
    cifar,
    detection,
    fashion_mnist,
    gpt,
    imagenet,
    sn_gan,
    translation,
    wgan,
    words,
)

WORKLOADS: Mapping[str, Workload] = {
    "fashion-mnist": fashion_mnist.workload,
    **cifar.WORKLOADS,
    "imagenet-resnet18": imagenet.workload,
    "detection-fasterrcnn": detection.workload,
    **words.WORKLOADS,
    "sotu-gpt": gpt.workload,
    **translation.WORKLOADS,
    **wgan.WORKLOADS,
    "sn-gan": sn_gan.workload,
}
