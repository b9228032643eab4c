"""The optimizers of torch.optim."""

from __future__ import annotations

from adabelief_lab.declare.optimizer_spec import OptimizerSpec
from adabelief_lab.declare.search_space import Choices, LogRange
from adabelief_lab.optimizers.spaces import (
    ADAM_EPS,
    ADAM_RANGE,
    ADAPTIVE_LR,
    COUPLED,
    DECAY,
    DECOUPLED,
    L2,
    PAPER_ADAM,
    PAPER_ADAMW,
    PAPER_SGD,
    SGD_LR,
    SGD_RANGE,
)

_ADAM: dict[str, LogRange | Choices] = {
    "lr": ADAPTIVE_LR,
    "weight_decay": COUPLED,
    "eps": ADAM_EPS,
}
_ADAMW: dict[str, LogRange | Choices] = {**_ADAM, "weight_decay": DECOUPLED}
_SGD: dict[str, LogRange | Choices] = {"lr": SGD_LR, "weight_decay": COUPLED}

TORCH = (
    OptimizerSpec(
        name="adam",
        label="Adam",
        implementation="adam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space=_ADAM,
        paper=PAPER_ADAM,
        source=(
            "betas, eps: Kingma & Ba 2015; no weight decay, the default of torch.optim.Adam. "
            f"{ADAM_RANGE}"
        ),
    ),
    OptimizerSpec(
        name="adamw",
        label="AdamW",
        implementation="adamw",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space=_ADAMW,
        paper=PAPER_ADAMW,
        source=f"betas, eps: Loshchilov & Hutter 2019, as Adam. {DECAY}. {ADAM_RANGE}",
    ),
    OptimizerSpec(
        name="sgd",
        label="SGD (momentum)",
        implementation="sgd",
        defaults={"momentum": 0.9, "weight_decay": 5e-4},
        space=_SGD,
        paper=PAPER_SGD,
        source=f"heavy ball, momentum=0.9, {L2}. {SGD_RANGE}",
        note=(
            "their own finetuned SGD (imgs/sgd_finetune.png of their repository) beats their "
            "AdaBelief on CIFAR-10; figure 4 has one with a worse schedule"
        ),
    ),
    OptimizerSpec(
        name="sgd-nesterov",
        label="SGD (Nesterov)",
        implementation="sgd",
        defaults={"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
        space=_SGD,
        source=f"Sutskever et al. 2013; as sgd otherwise: {L2}. {SGD_RANGE}",
    ),
    OptimizerSpec(
        name="sgd-ema",
        label="SGD (EMA)",
        implementation="sgd-ema",
        defaults={"momentum": 0.9, "weight_decay": 5e-4},
        space={"lr": LogRange(low=1e-2, high=10.0), "weight_decay": COUPLED},
        source=(
            f"Zhuang et al. 2020, equation 1: the numerator of Adam alone; {L2}. lr: three "
            "decades, those of sgd divided by 1 - momentum"
        ),
    ),
    OptimizerSpec(
        name="amsgrad",
        label="AMSGrad",
        implementation="adam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "amsgrad": True},
        space=_ADAM,
        source=f"Reddi et al. 2018; betas, eps as Adam. {ADAM_RANGE}",
        note="with Adam's bias correction, after the maximum; the paper has none",
    ),
    OptimizerSpec(
        name="nadam",
        label="NAdam",
        implementation="nadam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space=_ADAM,
        source=f"Dozat 2016; betas, eps as Adam. {ADAM_RANGE}",
    ),
    OptimizerSpec(
        name="radam",
        label="RAdam",
        implementation="radam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space=_ADAM,
        paper=PAPER_ADAM,
        source=f"Liu et al. 2020; betas, eps as Adam. {ADAM_RANGE}",
        note="rectified from rho > 5 on, as its authors' code; the paper's text says 4",
    ),
    OptimizerSpec(
        name="rmsprop",
        label="RMSprop",
        implementation="rmsprop",
        defaults={"alpha": 0.99, "eps": 1e-8},
        space=_ADAM,
        source=f"Tieleman & Hinton 2012; alpha, eps: torch.optim. {ADAM_RANGE}",
    ),
    OptimizerSpec(
        name="adagrad",
        label="Adagrad",
        implementation="adagrad",
        defaults={"eps": 1e-10},
        space={"lr": SGD_LR, "weight_decay": COUPLED, "eps": ADAM_EPS},
        source=(
            "Duchi et al. 2011; eps: torch.optim. lr: three decades, as for everybody, around "
            "torch's 1e-2: its steps shrink as 1/sqrt(t)"
        ),
    ),
    OptimizerSpec(
        name="adadelta",
        label="Adadelta",
        implementation="adadelta",
        defaults={"rho": 0.9, "eps": 1e-6},
        space={
            "lr": LogRange(low=1e-2, high=10.0),
            "weight_decay": COUPLED,
            "eps": ADAM_EPS,
        },
        source="Zeiler 2012; rho, eps: torch.optim. lr: three decades around the paper's 1",
    ),
)
