"""AdaBelief, and its nearest relations."""

from __future__ import annotations

from adabelief_lab.declare.optimizer_spec import OptimizerSpec
from adabelief_lab.declare.search_space import Choices, LogRange
from adabelief_lab.optimizers.spaces import (
    ADAM_RANGE,
    ADAPTIVE_LR,
    BELIEF_EPS,
    DECAY,
    DECOUPLED,
    PAPER_BELIEF,
)

_SPACE: dict[str, LogRange | Choices] = {
    "lr": ADAPTIVE_LR,
    "weight_decay": DECOUPLED,
    "eps": BELIEF_EPS,
}

BELIEFS = (
    OptimizerSpec(
        name="adabelief",
        label="AdaBelief",
        implementation="adabelief",
        defaults={"betas": [0.9, 0.999], "eps": 1e-16, "weight_decay": 0.01},
        space=_SPACE,
        paper=PAPER_BELIEF,
        source=f"eps=1e-16: default of the authors' package since 0.1.0. {DECAY}. {ADAM_RANGE}",
        note=(
            "Zhuang et al. 2020 say eps=1e-8 and lr=1e-3 for images and language; their scripts "
            "have eps=1e-16 or 1e-12 and, for LSTMs of 2 and 3 layers, lr=1e-2"
        ),
    ),
    OptimizerSpec(
        name="adabelief-eps1e-8",
        label="AdaBelief (eps 1e-8)",
        implementation="adabelief",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space={"lr": ADAPTIVE_LR, "weight_decay": DECOUPLED},
        source=(
            "eps=1e-8: Zhuang et al. 2020, Algorithm 2's default, used for CIFAR and ImageNet. "
            f"{DECAY}. {ADAM_RANGE}"
        ),
    ),
    OptimizerSpec(
        name="adabelief-l2",
        label="AdaBelief (L2)",
        implementation="adabelief",
        defaults={
            "betas": [0.9, 0.999],
            "eps": 1e-8,
            "weight_decay": 5e-4,
            "decoupled_weight_decay": False,
        },
        space={
            "lr": ADAPTIVE_LR,
            "weight_decay": LogRange(low=1e-5, high=1e-2),
            "eps": BELIEF_EPS,
        },
        paper=PAPER_BELIEF,
        source=(
            f"eps=1e-8, weight_decay=5e-4 (L2): what Zhuang et al. 2020 ran on CIFAR. {ADAM_RANGE}"
        ),
    ),
    OptimizerSpec(
        name="eadam",
        label="EAdam",
        implementation="eadam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space=_SPACE,
        source=(
            "eps=1e-8: Yuan & Gao 2020 (arXiv:2011.02150); AdaBelief's eps placement without the "
            f"belief, the control for adabelief-eps1e-8. {DECAY}. {ADAM_RANGE}"
        ),
    ),
    OptimizerSpec(
        name="acprop",
        label="ACProp",
        implementation="acprop",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space=_SPACE,
        source=(
            "eps=1e-8: Zhuang et al. 2021 (arXiv:2110.05454), CIFAR. AdaBelief's variance one step "
            f"late under the gradient. {DECAY}. {ADAM_RANGE}"
        ),
        note="while there is no variance yet, the step is lr times the gradient, as in their code",
    ),
)
