"""The convolutional network of fashion-mnist; ranked by its loss, which is finer than accuracy."""

from __future__ import annotations

from dataclasses import replace

from adabelief_lab.declare.workload import Preset
from adabelief_lab.workloads.fashion_mnist import workload as fashion_mnist

workload = replace(
    fashion_mnist,
    name="small-state-cnn",
    title="CNN on Fashion-MNIST",
    primary="loss",
    presets={
        "study": Preset(
            steps=960,
            eval_every=240,
            trials=7,
            seeds=8,
            options={"data": "embedded", "batch_size": 64, "width": 16},
        ),
        "smoke": Preset(
            steps=4,
            eval_every=2,
            trials=2,
            seeds=2,
            options={"data": "embedded", "batch_size": 16, "width": 4},
        ),
    },
)
