"""Settings that somebody ran and published on text, by experiment of Zhuang et al. 2020."""

from __future__ import annotations

from typing import Any

from adabelief_lab.declare.optimizer_spec import OptimizerSpec
from adabelief_lab.optimizers.published_settings import CONTROL, FILES, l2, published

_DECAY = 1.2e-6
_EPS = "the file's name has an ε, which their script hands to AdaBelief only"
_STRAY = (
    "the stored curves of 2 and 3 layers have 1e-2, at which it is far worse than in the paper's "
    "figure; the re-runs of others reach the figure with 1e-3"
)


def lstm(layers: int) -> tuple[OptimizerSpec, ...]:
    """Figure 5's optimizers with the learning rates of the authors' stored curves, and controls.

    Args:
        layers: 1, 2 or 3 LSTM layers.
    """
    small = layers == 1
    lr, eps = (1e-3, 1e-16) if small else (1e-2, 1e-12)
    note = "the text has lr 1e-3 and ε 1e-8 for all language models; the script and the readme not"
    mistuned = (
        published(
            "adamw", 1e-2, FILES, name="adamw-1e-2", label="AdamW (lr 0.01)", weight_decay=_DECAY,
            note=_STRAY,
        ),
        published(
            "radam", 1e-2, FILES, name="radam-1e-2", label="RAdam (lr 0.01)", weight_decay=_DECAY,
            decoupled_weight_decay=True, note=_STRAY,
        ),
    )  # fmt: skip
    theirs = FILES if small else "ML Reproducibility Challenge 2021, re-runs of figure 5"
    return (
        published(
            "adabelief-l2", lr, FILES, name="adabelief", label="AdaBelief", eps=eps,
            weight_decay=_DECAY, note=note,
        ),
        published(
            "sgd", 30.0, FILES, label="SGD", momentum=0.0, weight_decay=_DECAY,
            note="without momentum; their code turns to averaging (ASGD) when it stands, ours not",
        ),
        published(
            "adabound", 1e-2, FILES, final_lr=0.1, gamma=1e-3, weight_decay=_DECAY, note=_EPS,
        ),
        published("yogi", 1e-2, FILES, eps=1e-3, weight_decay=_DECAY, note=_EPS),
        published("adam", lr, FILES, weight_decay=_DECAY, note=_EPS),
        published("msvag", 30.0, FILES, wrappers=(l2(_DECAY),), note=_EPS),
        published(
            "radam", 1e-3, theirs, weight_decay=_DECAY, decoupled_weight_decay=True, note=_EPS,
        ),
        published("adamw", 1e-3, theirs, weight_decay=_DECAY, note=_EPS),
        published("fromage", 0.01, "its authors' usual rate; no curve is stored"),
        published(
            "eadam", lr, f"{CONTROL}: AdaBelief's settings", eps=eps, weight_decay=_DECAY,
            decoupled_weight_decay=False, note="AdaBelief without the belief: g² for (g - m)²",
        ),
        *(() if small else mistuned),
    )  # fmt: skip


def transformer(lr: float, folder: str) -> tuple[OptimizerSpec, ...]:
    """The optimizers of the authors' transformer experiments, which the paper does not have.

    Args:
        lr: highest of the schedule.
        folder: of theirs, in which that is the learning rate.
    """
    decay = 1e-4
    theirs = f"{folder} of the authors' repository"
    others: dict[str, Any] = {"betas": [0.9, 0.98], "weight_decay": decay}
    note = "beta2 is 0.98, AdaBelief's 0.999"
    return (
        published(
            "adabelief", lr, theirs, eps=1e-16, weight_decay=decay, rectify=True,
            note="decoupled and rectified",
        ),
        published("adamw", lr, theirs, note=f"{note}; fairseq calls it adam", **others),
        published("radam", lr, theirs, decoupled_weight_decay=True, note=note, **others),
        published(
            "adamw", lr, f"{CONTROL}: AdaBelief's beta2", name="adamw-0.999",
            label="AdamW (beta2 0.999)", weight_decay=decay,
        ),
        published(
            "adabelief", lr, f"{CONTROL}: Algorithm 2", name="adabelief-unrectified",
            label="AdaBelief (not rectified)", eps=1e-16, weight_decay=decay,
        ),
        published(
            "eadam", lr, f"{CONTROL}: AdaBelief's settings", eps=1e-16, weight_decay=decay,
            note="AdaBelief, not rectified, without the belief: g² for (g - m)²",
        ),
    )  # fmt: skip
