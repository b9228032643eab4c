"""The rivals of torch.optim."""

from __future__ import annotations

from adabelief.lab.rivals.rival import Rival
from adabelief.lab.rivals.spaces import (
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
from adabelief.lab.search import Choices, LogRange

_ADAM: dict[str, LogRange | Choices] = {
    "lr": ADAPTIVE_LR,
    "weight_decay": COUPLED,
    "eps": ADAM_EPS,
}
_ADAMW: dict[str, LogRange | Choices] = {**_ADAM, "weight_decay": DECOUPLED}
_SGD: dict[str, LogRange | Choices] = {"lr": SGD_LR, "weight_decay": COUPLED}

TORCH = (
    Rival(
        name="adam",
        label="Adam",
        optimizer="torch.optim:Adam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space=_ADAM,
        paper=PAPER_ADAM,
        source=(
            "betas, eps: Kingma & Ba 2015; no weight decay, the default of torch.optim.Adam. "
            f"{ADAM_RANGE}"
        ),
    ),
    Rival(
        name="adamw",
        label="AdamW",
        optimizer="torch.optim:AdamW",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01},
        space=_ADAMW,
        paper=PAPER_ADAMW,
        source=f"betas, eps: Loshchilov & Hutter 2019, as Adam. {DECAY}. {ADAM_RANGE}",
    ),
    Rival(
        name="sgd",
        label="SGD (momentum)",
        optimizer="torch.optim:SGD",
        defaults={"momentum": 0.9, "weight_decay": 5e-4},
        space=_SGD,
        paper=PAPER_SGD,
        source=f"heavy ball, momentum=0.9, {L2}. {SGD_RANGE}",
        note=(
            "their own finetuned SGD (imgs/sgd_finetune.png of their repository) beats their "
            "AdaBelief on CIFAR-10; figure 4 has one with a worse schedule"
        ),
    ),
    Rival(
        name="sgd-nesterov",
        label="SGD (Nesterov)",
        optimizer="torch.optim:SGD",
        defaults={"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
        space=_SGD,
        source=f"Sutskever et al. 2013; as sgd otherwise: {L2}. {SGD_RANGE}",
    ),
    Rival(
        name="sgd-ema",
        label="SGD (EMA)",
        optimizer="adabelief.lab.optimizers.sgd_ema:EMASGD",
        defaults={"momentum": 0.9, "weight_decay": 5e-4},
        space={"lr": LogRange(low=1e-2, high=10.0), "weight_decay": COUPLED},
        source=(
            f"Zhuang et al. 2020, equation 1: the numerator of Adam alone; {L2}. lr: three "
            "decades, those of sgd divided by 1 - momentum"
        ),
    ),
    Rival(
        name="amsgrad",
        label="AMSGrad",
        optimizer="torch.optim:Adam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8, "amsgrad": True},
        space=_ADAM,
        source=f"Reddi et al. 2018; betas, eps as Adam. {ADAM_RANGE}",
        note="with Adam's bias correction, after the maximum; the paper has none",
    ),
    Rival(
        name="nadam",
        label="NAdam",
        optimizer="torch.optim:NAdam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space=_ADAM,
        source=f"Dozat 2016; betas, eps as Adam. {ADAM_RANGE}",
    ),
    Rival(
        name="radam",
        label="RAdam",
        optimizer="torch.optim:RAdam",
        defaults={"betas": [0.9, 0.999], "eps": 1e-8},
        space=_ADAM,
        paper=PAPER_ADAM,
        source=f"Liu et al. 2020; betas, eps as Adam. {ADAM_RANGE}",
        note="rectified from rho > 5 on, as its authors' code; the paper's text says 4",
    ),
    Rival(
        name="rmsprop",
        label="RMSprop",
        optimizer="torch.optim:RMSprop",
        defaults={"alpha": 0.99, "eps": 1e-8},
        space=_ADAM,
        source=f"Tieleman & Hinton 2012; alpha, eps: torch.optim. {ADAM_RANGE}",
    ),
    Rival(
        name="adagrad",
        label="Adagrad",
        optimizer="torch.optim:Adagrad",
        defaults={"eps": 1e-10},
        space={"lr": SGD_LR, "weight_decay": COUPLED, "eps": ADAM_EPS},
        source=(
            "Duchi et al. 2011; eps: torch.optim. lr: three decades, as for everybody, around "
            "torch's 1e-2: its steps shrink as 1/sqrt(t)"
        ),
    ),
    Rival(
        name="adadelta",
        label="Adadelta",
        optimizer="torch.optim:Adadelta",
        defaults={"rho": 0.9, "eps": 1e-6},
        space={
            "lr": LogRange(low=1e-2, high=10.0),
            "weight_decay": COUPLED,
            "eps": ADAM_EPS,
        },
        source="Zeiler 2012; rho, eps: torch.optim. lr: three decades around the paper's 1",
    ),
)
