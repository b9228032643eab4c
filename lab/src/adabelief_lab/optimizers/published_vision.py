"""Settings that somebody ran and published on images, by experiment of Zhuang et al. 2020."""

from __future__ import annotations

from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.optimizers.published_settings import CONTROL, FILES, l2, published

_L2 = 5e-4

# Section 3 and the names of the 27 stored curves.
CIFAR = (
    published(
        "adabelief-l2", 1e-3, FILES, name="adabelief", label="AdaBelief",
        eps=1e-8, weight_decay=_L2,
        note="the text says that AdaBelief was not tuned; the scripts agree",
    ),
    published("sgd", 0.1, FILES, weight_decay=_L2),
    published("adabound", 1e-3, FILES, final_lr=0.1, gamma=1e-3, weight_decay=_L2),
    published("yogi", 1e-3, FILES, eps=1e-3, weight_decay=_L2),
    published(
        "adam", 1e-3, FILES, weight_decay=_L2,
        note="the text searches beta1; every curve has 0.9",
    ),
    published(
        "msvag", 0.1, FILES, wrappers=(l2(_L2),),
        note=(
            "the code of their curves corrects the second moment, which decays by beta1, with "
            "beta2; this one with beta1, as its paper"
        ),
    ),
    published(
        "radam", 1e-3, FILES, weight_decay=_L2, decoupled_weight_decay=True,
        note="the text has the same decay for all; RAdam's code decouples it",
    ),
    published(
        "adamw", 1e-3, FILES, weight_decay=1e-2,
        note="the text searches the decay in {1e-4, 5e-4, 1e-3, 1e-2}; the curves have 1e-2",
    ),
    published("fromage", 0.01, FILES),
    published(
        "adamw", 1e-3, f"{CONTROL}: AdaBelief's decay", name="adamw-5e-4",
        label="AdamW (decay 5e-4)", weight_decay=_L2,
        note="decoupled, so weaker than AdaBelief's: lr · decay a step",
    ),
    published(
        "eadam", 1e-3, "Yuan & Gao 2020 (arXiv:2011.02150), their code: AdaBelief's settings",
        eps=1e-8, weight_decay=_L2, decoupled_weight_decay=False,
        note="AdaBelief without the belief: g² for (g - m)²",
    ),
    published(
        "sgd", 0.1, "imgs/sgd_finetune.png of the authors' repository", name="sgd-two-decays",
        label="SGD (two decays)", weight_decay=_L2,
        schedule=Schedule(kind="step", milestones=(0.5, 0.75)),
        note="their own better SGD, which figure 4 does not have: decays after epochs 100 and 150",
    ),
)  # fmt: skip

_LITERATURE = (
    "Table 2 takes its number from other papers, with decay 1e-4 and decays after 30 and 60 of 90 "
    "epochs; the learning rate is the optimizer's usual one"
)
_THIRDS = Schedule(kind="step", milestones=(1 / 3, 2 / 3))
_SCRIPT = "main_when.py of the authors' repository"

# Table 2: AdaBelief is the authors' own run, all others are not.
IMAGENET = (
    published("adabelief", 1e-3, _SCRIPT, eps=1e-8, weight_decay=1e-2),
    published("sgd", 0.1, _LITERATURE, weight_decay=1e-4, schedule=_THIRDS),
    published("adabound", 1e-3, _LITERATURE, weight_decay=1e-4, schedule=_THIRDS),
    published("yogi", 1e-3, _LITERATURE, weight_decay=1e-4, schedule=_THIRDS),
    published("adam", 1e-3, _LITERATURE, weight_decay=1e-4, schedule=_THIRDS),
    published(
        "msvag", 0.1, _LITERATURE, schedule=_THIRDS,
        wrappers=(l2(1e-4),),
    ),
    published("radam", 1e-3, _LITERATURE, weight_decay=1e-4, schedule=_THIRDS),
    published("adamw", 1e-3, _LITERATURE, weight_decay=1e-4, schedule=_THIRDS),
    published(
        "adamw", 1e-3, "issue 11 of the authors' repository", name="adamw-1e-2",
        label="AdamW (decay 1e-2)", weight_decay=1e-2,
        note="AdaBelief's decay and schedule: most of the gap of Table 2 is those",
    ),
    published("eadam", 1e-3, f"{CONTROL}: AdaBelief's settings", eps=1e-8, weight_decay=1e-2),
    published("sgd", 0.1, f"{CONTROL}: AdaBelief's schedule", name="sgd-late",
         label="SGD (late decays)", weight_decay=1e-4),
)  # fmt: skip

_EADAM = "Yuan & Gao 2020 (arXiv:2011.02150), section 4 and their repository"

# The detection experiment, which is EAdam's.
DETECTION = (
    published("adabelief-l2", 1e-4, _EADAM, name="adabelief", label="AdaBelief", eps=1e-8,
         weight_decay=1e-4),
    published("adam", 1e-4, _EADAM, weight_decay=1e-4),
    published("radam", 1e-4, _EADAM, weight_decay=1e-4),
    published("eadam", 1e-4, _EADAM, eps=1e-8, weight_decay=1e-4, decoupled_weight_decay=False),
    published("adamw", 1e-4, f"{CONTROL}: AdaBelief's decay", weight_decay=1e-4),
    published("sgd", 0.02 / 8, "mmdetection's recipe, 0.02 for 16 images, here for 2",
         weight_decay=1e-4),
)  # fmt: skip
