"""A model and data of your own as a workload.

Run it with: adabelief compare examples/own_model.py:workload
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from adabelief_lab.declare.workload import Preset, Workload
from adabelief_lab.tasks.supervised import CLASSIFICATION, Supervised


def build(preset: Preset, init_seed: int, data_seed: int) -> Supervised:
    """A small MLP on 1,797 images of handwritten digits, 8x8 pixels each."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32) / 16
    y = torch.tensor(labels)
    torch.manual_seed(init_seed)  # weights depend on this seed only
    width = preset.options["width"]
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    return Supervised(
        model,
        train=(x[:1000], y[:1000]),
        valid=(x[1000:1400], y[1000:1400]),  # tunes the learning rates
        test=(x[1400:], y[1400:]),  # for final runs only
        batch_size=preset.options["batch_size"],
        data_seed=data_seed,  # the order of the data depends on this seed only
    )


options = {"width": 64, "batch_size": 50}
workload = Workload(
    name="digits",
    title="Handwritten digits, small MLP",
    build=build,
    metrics=CLASSIFICATION,
    primary="accuracy",
    presets={
        "quick": Preset(steps=400, eval_every=40, trials=5, seeds=8, options=options),
        "smoke": Preset(steps=40, eval_every=10, trials=2, seeds=2, options=options),
    },
    data="scikit-learn's digits (UCI ML repository, Alpaydin & Kaynak 1998, CC BY 4.0)",
)
