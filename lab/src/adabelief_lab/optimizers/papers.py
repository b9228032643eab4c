"""Optimizers that torch.optim lacks: from pytorch_optimizer, or written from their papers."""

from __future__ import annotations

from adabelief_lab.declare.optimizer_spec import OptimizerSpec, WrapperSpec
from adabelief_lab.declare.search_space import LogRange
from adabelief_lab.optimizers.spaces import (
    ADAM_EPS,
    ADAM_RANGE,
    ADAPTIVE_LR,
    COUPLED,
    L2,
    PAPER_ADAM,
    PAPER_BETA1,
    PAPER_LR,
    PAPER_SGD,
    SGD_LR,
    SGD_RANGE,
)

_ADABOUND = (
    "Luo et al. 2019 and their package: final_lr=0.1, gamma=1e-3, betas, eps; the same in Zhuang "
    f"et al. 2020. {L2}"
)
_BOUNDS = "the form of the bounds is their package's; the paper's experiments have final_lr=0.1 too"

PAPERS = (
    OptimizerSpec(
        name="adabound",
        label="AdaBound",
        implementation="adabound",
        defaults={"betas": [0.9, 0.999], "weight_decay": 5e-4},
        space={
            "lr": ADAPTIVE_LR,
            "weight_decay": COUPLED,
            "final_lr": LogRange(low=1e-2, high=1.0),
        },
        paper=PAPER_ADAM,
        source=f"{_ADABOUND}. {ADAM_RANGE}",
        note=_BOUNDS,
    ),
    OptimizerSpec(
        name="amsbound",
        label="AMSBound",
        implementation="adabound",
        defaults={"betas": [0.9, 0.999], "weight_decay": 5e-4, "amsbound": True},
        space={
            "lr": ADAPTIVE_LR,
            "weight_decay": COUPLED,
            "final_lr": LogRange(low=1e-2, high=1.0),
        },
        source=f"{_ADABOUND}. {ADAM_RANGE}",
        note=_BOUNDS,
    ),
    OptimizerSpec(
        name="yogi",
        label="Yogi",
        implementation="yogi",
        defaults={
            "betas": [0.9, 0.999],
            "eps": 1e-3,
            "initial_accumulator": 1e-6,
            "weight_decay": 5e-4,
            "weight_decouple": False,
        },
        space={"lr": ADAPTIVE_LR, "weight_decay": COUPLED, "eps": ADAM_EPS},
        paper=PAPER_ADAM,
        source=f"eps=1e-3: Zaheer et al. 2018. {L2}. {ADAM_RANGE}",
        note=(
            "with bias corrections, and both moments begin at 1e-6, as in every library and in "
            "AdaBelief's code; the paper's Algorithm 2 has neither"
        ),
    ),
    OptimizerSpec(
        name="msvag",
        label="M-SVAG",
        implementation="msvag",
        defaults={"beta": 0.9},
        space={"lr": SGD_LR},
        paper={"beta": PAPER_BETA1, "lr": PAPER_LR},
        source=f"beta=0.9: Balles & Hennig 2018. {SGD_RANGE}",
        note=(
            "no weight decay, as its paper; AdaBelief's code has 5e-4, and corrects the second "
            "moment, which decays by beta1, with beta2"
        ),
    ),
    OptimizerSpec(
        name="fromage",
        label="Fromage",
        implementation="fromage",
        defaults={},
        space={"lr": LogRange(low=1e-3, high=1.0)},
        paper=PAPER_SGD,
        source="Bernstein et al. 2020; 0.01 is their lr. lr: three decades, as for everybody",
        note="no weight decay; AdaBelief's scripts give one that their Fromage ignores",
    ),
    OptimizerSpec(
        name="padam",
        label="Padam",
        implementation="padam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "partial": 0.125, "weight_decay": 5e-4},
        space={"lr": SGD_LR, "weight_decay": COUPLED, "eps": ADAM_EPS},
        source=f"p=1/8, lr=0.1: Chen & Gu 2018, section 5. {L2}. {SGD_RANGE}",
        note="no bias correction, as the paper's Algorithm 1; its code has one",
    ),
    OptimizerSpec(
        name="swats",
        label="SWATS",
        implementation="swats",
        defaults={"betas": [0.9, 0.999], "eps": 1e-9, "tolerance": 1e-9},
        space={"lr": ADAPTIVE_LR, "weight_decay": COUPLED},
        source=f"Keskar & Socher 2017, Algorithm 1. {ADAM_RANGE}",
        note="switches only to a positive learning rate, which Algorithm 1 does not ask for",
    ),
)

WRAPPERS = (
    WrapperSpec(
        name="lookahead",
        label="Lookahead",
        implementation="lookahead",
        arguments={"k": 5, "alpha": 0.5},
        source="k=5, alpha=0.5: Zhang et al. 2019, section 5 and their code",
    ),
    WrapperSpec(
        name="lars",
        label="LARS",
        implementation="lars",
        # You et al. have 0.001 and learning rates up to 30; this is 0.001 for those of sgd here.
        arguments={"trust": 0.02},
        source="You et al. 2017, Algorithm 1; trust=0.02: the default of NVIDIA's apex",
    ),
)
