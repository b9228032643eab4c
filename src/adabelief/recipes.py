"""The authors' settings by experiment, each usable as `AdaBelief(params, **recipe)`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn


class _Named(dict[str, Any]):
    """A dict whose KeyError lists the names that exist."""

    def __missing__(self, name: str) -> NoReturn:
        msg = f"no recipe {name!r}; choose from {', '.join(self)}"
        raise KeyError(msg)


def _recipe(
    *,
    lr: float,
    eps: float,
    weight_decay: float,
    beta1: float = 0.9,
    decoupled: bool = True,
    rectify: bool = False,
) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            "lr": lr,
            "betas": (beta1, 0.999),  # β2 = 0.999 in every line of the authors' table
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled,
            "rectify": rectify,
        }
    )


# Each line is that experiment's line of the table of hyper-parameters in the README of the
# authors' repository, juntang-zhuang/Adabelief-Optimizer; `sources` tells where the paper or
# their code says otherwise. amsgrad and fixed_decay are off in all of them.
recipes: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    _Named(
        {
            # README table, Cifar; Zhuang et al. 2020, section 3 and Fig. 4
            "cifar": _recipe(lr=1e-3, eps=1e-8, weight_decay=5e-4, decoupled=False),
            # README table, ImageNet; Zhuang et al. 2020, section 3 and Table 2
            "imagenet": _recipe(lr=1e-3, eps=1e-8, weight_decay=1e-2),
            # README table, Object detection (PASCAL)
            "detection": _recipe(lr=1e-4, eps=1e-8, weight_decay=1e-4, decoupled=False),
            # README table, LSTM-1 layer; Zhuang et al. 2020, Fig. 5
            "lstm-1layer": _recipe(lr=1e-3, eps=1e-16, weight_decay=1.2e-6, decoupled=False),
            # README table, LSTM 2,3 layer; Zhuang et al. 2020, Fig. 5
            "lstm-2layer": _recipe(lr=1e-2, eps=1e-12, weight_decay=1.2e-6, decoupled=False),
            # README table, LSTM 2,3 layer; Zhuang et al. 2020, Fig. 5
            "lstm-3layer": _recipe(lr=1e-2, eps=1e-12, weight_decay=1.2e-6, decoupled=False),
            # README table, GAN (small); Zhuang et al. 2020, section 3 and Fig. 6
            "gan-small": _recipe(lr=2e-4, beta1=0.5, eps=1e-12, weight_decay=0.0),
            # README table, SN-GAN (large); Zhuang et al. 2020, section 3 and Table 3
            "sn-gan": _recipe(lr=2e-4, beta1=0.5, eps=1e-16, weight_decay=0.0, rectify=True),
            # README table, Transformer
            "transformer": _recipe(lr=5e-4, eps=1e-16, weight_decay=1e-4, rectify=True),
            # README table, Reinforce (Rainbow)
            "rainbow": _recipe(lr=1e-4, eps=1e-10, weight_decay=0.0, rectify=True),
            # README table, Reinforce (HalfCheetah-v2) and Reinforce (Walker2d-v2)
            "sac": _recipe(lr=1e-3, eps=1e-12, weight_decay=0.0, rectify=True),
        }
    )
)

_README = "hyper-parameter table of the authors' README"

sources: Mapping[str, str] = MappingProxyType(
    _Named(
        {
            "cifar": f"{_README}, Cifar; Zhuang et al. 2020, section 3, Fig. 4. Same as the text.",
            "imagenet": (
                f"{_README}, ImageNet; Zhuang et al. 2020, section 3, Table 2. The text names "
                "decoupled decay without its value."
            ),
            "detection": f"{_README}, object detection on PASCAL VOC; not in the paper.",
            "lstm-1layer": (
                f"{_README}, LSTM 1 layer; Zhuang et al. 2020, Fig. 5. Contradiction: the text "
                "says eps=1e-8 for language modelling, the table and the scripts 1e-16."
            ),
            "lstm-2layer": (
                f"{_README}, LSTM 2,3 layer; Zhuang et al. 2020, Fig. 5. Contradiction: the text "
                "says lr=1e-3, eps=1e-8, the table and the scripts lr=1e-2, eps=1e-12."
            ),
            "lstm-3layer": (
                f"{_README}, LSTM 2,3 layer; Zhuang et al. 2020, Fig. 5. Contradiction: the text "
                "says lr=1e-3, eps=1e-8, the table and the scripts lr=1e-2, eps=1e-12."
            ),
            "gan-small": (
                f"{_README}, small GAN; Zhuang et al. 2020, section 3, Fig. 6. Same as the text; "
                "no decay, so coupling does not matter."
            ),
            "sn-gan": (
                f"{_README}, SN-GAN; Zhuang et al. 2020, section 3 (eps=1e-16), Table 3. "
                "Contradiction: the released configuration has eps=1e-12 and rectify=False, and "
                "the README says elsewhere that the paper never used rectification."
            ),
            "transformer": (
                f"{_README}, Transformer on IWSLT14 De-En; not in the paper. Contradiction: the "
                "authors' first Transformer repository ran lr=1.5e-3, the fairseq one 5e-4."
            ),
            "rainbow": f"{_README}, Rainbow on Space Invaders; not in the paper.",
            "sac": f"{_README}, SAC on HalfCheetah-v2 and Walker2d-v2; not in the paper.",
        }
    )
)
