"""Ranges that optimizers share: with equal trials a narrower range is searched more finely."""

from __future__ import annotations

from adabelief_lab.declare.search_space import Choices, LogRange

LR_DECADES = 3


def decades(low: float) -> LogRange:
    """`LR_DECADES` decades from `low` on."""
    return LogRange(low=low, high=low * 10**LR_DECADES)


ADAPTIVE_LR = decades(1e-4)
SGD_LR = decades(1e-3)

# Coupled decay acts on the gradient, decoupled on lr · λ θ: three decades each, around 5e-4 and
# 1e-2, what Zhuang et al. 2020 use of them.
COUPLED = LogRange(low=1e-5, high=1e-2)
DECOUPLED = LogRange(low=1e-3, high=1.0)

# Adam's ε and AdaBelief's (1 − β2) ε², the same floor of the denominator at β2 = 0.999
# (docs/algorithm.md): 8 decades of one are 16 of the other.
ADAM_EPS = LogRange(low=1e-10, high=1e-2)
BELIEF_EPS = LogRange(low=1e-23, high=1e-7)

# Zhuang et al. 2020, section 3: what each optimizer's grid is made of.
PAPER_LR = Choices(values=(10.0, 1.0, 0.1, 0.01, 0.001))
PAPER_BETA1 = Choices(values=(0.5, 0.6, 0.7, 0.8, 0.9))
PAPER_DECAY = Choices(values=(1e-4, 5e-4, 1e-3, 1e-2))

PAPER_SGD: dict[str, Choices] = {"lr": PAPER_LR}
_ONE_DECAY = Choices(values=(5e-4,))
PAPER_ADAM: dict[str, Choices] = {
    "beta1": PAPER_BETA1,
    "lr": PAPER_LR,
    "weight_decay": _ONE_DECAY,
}
PAPER_ADAMW: dict[str, Choices] = {**PAPER_ADAM, "weight_decay": PAPER_DECAY}
# Not searched: Adam's defaults, and the decay of the others, which is coupled.
PAPER_BELIEF: dict[str, Choices] = {
    "lr": Choices(values=(1e-3,)),
    "eps": Choices(values=(1e-8,)),
    "weight_decay": _ONE_DECAY,
    "decoupled_weight_decay": Choices(values=(False,)),
}

ADAM_RANGE = "lr: three decades, as for everybody; 1e-3, the default of Kingma & Ba 2015, is inside"
SGD_RANGE = "lr: three decades, as for everybody; 0.1, what Zhuang et al. 2020 run, is inside"
DECAY = (
    "weight_decay=0.01, decoupled: the default of torch.optim.AdamW and the value of Zhuang et al. "
    "2020 on ImageNet; the same for adabelief, adabelief-eps1e-8, eadam, acprop and adamw"
)
L2 = "weight_decay=5e-4 (L2): Zhuang et al. 2020, CIFAR"
