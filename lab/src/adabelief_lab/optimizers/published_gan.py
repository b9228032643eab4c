"""Settings that somebody ran and published for GANs, by experiment of Zhuang et al. 2020."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adabelief_lab.declare.optimizer_spec import OptimizerSpec
from adabelief_lab.declare.search_space import Choices
from adabelief_lab.optimizers.published_settings import CONTROL, published

_LR = 2e-4
_BETAS = [0.5, 0.999]
_SCRIPT = "main.py of the WGAN folders of the authors' repository"
_TABLE_4 = "table 4, which names p and no other setting; the authors have no code for Padam"

# Section 3, "GAN": β1 and ε are searched, the learning rate is the same for all.
_BETA1 = Choices(values=(0.5, 0.6, 0.7, 0.8, 0.9))
_EPS = Choices(values=(1e-3, 1e-5, 1e-8, 1e-10, 1e-12))
_ONE_LR = Choices(values=(_LR,))

# Table 4's p, which is `partial` of our Padam.
POWERS = tuple(map(Fraction, ("1/2", "2/5", "1/4", "1/5", "1/8", "1/16", "0")))


def padam(power: Fraction) -> str:
    """Name of the Padam with that power."""
    return f"padam-{float(power):g}"


def _searched(spec: OptimizerSpec, **grid: Choices) -> OptimizerSpec:
    """With the grid that the paper describes for GANs."""
    return spec.model_copy(update={"paper": {**grid, "lr": _ONE_LR}})


def _gan(base: str, source: str = _SCRIPT, **settings: Any) -> OptimizerSpec:
    """One with betas and ε, both searched by the paper."""
    spec = published(base, _LR, source, betas=_BETAS, weight_decay=0.0, **settings)
    return _searched(spec, beta1=_BETA1, eps=_EPS)


def _padam(power: Fraction) -> OptimizerSpec:
    meant = {Fraction(1, 2): "; AMSGrad, where table 4 has Adam", Fraction(0): "; momentum alone"}
    return _gan(
        "padam", _TABLE_4, name=padam(power), label=f"Padam (p = {power})",
        partial=float(power), note=f"no bias correction{meant.get(power, '')}",
    )  # fmt: skip


_OTHERS = (
    _searched(
        published(
            "rmsprop", _LR, _SCRIPT, weight_decay=0.0, note="ε of torch; theirs is not handed on",
        ),
        eps=_EPS,
    ),
    _gan("adam"),
    _gan("radam"),
    _gan("yogi", eps=1e-3),
    _searched(published("fromage", _LR, _SCRIPT)),
    _gan("adabound", final_lr=0.1, gamma=1e-3),
    _searched(
        published(
            "msvag", _LR, _SCRIPT, beta=_BETAS[0], note="ε of its authors; it is not searched",
        ),
        beta=_BETA1,
    ),
    _searched(
        published(
            "sgd", _LR, _SCRIPT, label="SGD", momentum=0.0, weight_decay=0.0,
            note="without momentum, and with the learning rate of the adaptive ones",
        ),
    ),
)  # fmt: skip

# Figure 6, and the p of table 4.
WGAN = (
    _gan("adabelief", eps=1e-12),
    *_OTHERS,
    _gan(
        "eadam", f"{CONTROL}: AdaBelief's settings", eps=1e-12,
        note="AdaBelief without the belief: g² for (g - m)²",
    ),
    *(_padam(power) for power in POWERS),
)  # fmt: skip

_TABLE_3 = "table 3; the readme of the authors' repository"
_STUDIO = "their configurations for PyTorch-StudioGAN"

SN_GAN = (
    _gan(
        "adabelief", _TABLE_3, eps=1e-16, rectify=True,
        note="ε 1e-16 and rectified by readme and text; the released file has neither",
    ),
    _gan(
        "adabelief", _STUDIO, name="adabelief-released", label="AdaBelief (ε 1e-12)", eps=1e-12,
        note="Algorithm 2, not rectified: what the released configuration says",
    ),
    _gan("adam", _STUDIO, eps=1e-6, note="ε 1e-6 in their code"),
    *(each for each in _OTHERS if each.name != "adam"),
    _gan(
        "eadam", f"{CONTROL}: the settings of AdaBelief (ε 1e-12)", eps=1e-12,
        note="without the belief: g² for (g - m)²",
    ),
)  # fmt: skip
