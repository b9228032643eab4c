"""The one validation of lr, betas, eps, weight_decay and the options of AdaBelief."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adabelief.kernels.abi import MASTER_WEIGHTS, STATE_DTYPES

if TYPE_CHECKING:
    from adabelief.feasible import FeasibleSet

# Options that are either on or off; their meaning is in the docstring of AdaBelief.
SWITCHES = (
    "decoupled_weight_decay",
    "fixed_decay",
    "amsgrad",
    "rectify",
    "bias_correction",
    "maximize",
    "capturable",
    "differentiable",
)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The options of one parameter group, checked. Meanings: see `AdaBelief`.

    Raises:
        ValueError: a value is outside its range, or two options contradict each other.
        RuntimeError: fused=True together with foreach=True or differentiable=True, as in torch.
        TypeError: a value is of the wrong kind.
    """

    lr: float | Tensor = 1e-3
    betas: tuple[float, float] | tuple[Tensor, Tensor] = (0.9, 0.999)
    eps: float = 1e-16
    weight_decay: float | Tensor = 0.0
    decoupled_weight_decay: bool = True
    fixed_decay: bool = False
    amsgrad: bool = False
    rectify: bool = False
    bias_correction: bool = True
    clip_update: float | None = None
    feasible_set: FeasibleSet | None = None
    maximize: bool = False
    foreach: bool | None = None
    fused: bool | None = None
    capturable: bool = False
    differentiable: bool = False
    state_dtype: str | torch.dtype | None = None
    master_weights: str | None = None

    def __post_init__(self) -> None:
        _check_number("lr", _value("lr", self.lr), "[0, inf)")
        _check_betas(self.betas)
        _check_number("eps", self.eps, "[0, inf)")
        _check_decay(self.weight_decay, self.decoupled_weight_decay, self.fixed_decay)
        _check_set(self.feasible_set)
        if self.clip_update is not None:
            _check_number("clip_update", self.clip_update, "(0, inf)")
        for name in SWITCHES:
            _check_kind(name, getattr(self, name), (True, False))
        for name in ("foreach", "fused"):
            _check_kind(name, getattr(self, name), (True, False, None))
        _check_choice("state_dtype", self.state_dtype, tuple(STATE_DTYPES))
        _check_choice("master_weights", self.master_weights, tuple(MASTER_WEIGHTS))
        self._check_together()

    def _check_together(self) -> None:
        """Refuse options that contradict each other."""
        if self.foreach and self.fused:
            msg = "fused and foreach cannot both be True: each is a way to run the same step"
            raise RuntimeError(msg)  # as torch.optim.Adam
        in_place = {"foreach": self.foreach, "fused": self.fused}
        rounding = {"state_dtype": self.state_dtype, "master_weights": self.master_weights}
        for name, value in {**in_place, **rounding}.items():
            if self.differentiable and value:
                allowed = "None or False" if name in in_place else "None"
                reason = (
                    "its operations are in place, which autograd cannot go through"
                    if name in in_place
                    else "rounding has no gradient"
                )
                msg = f"{name} must be {allowed} with differentiable=True, got {value}: {reason}"
                # RuntimeError for fused, as torch.optim.Adam.
                raise (RuntimeError if name == "fused" else ValueError)(msg)
        if self.state_dtype == "8bit" and self.amsgrad:
            msg = (
                "state_dtype must be None or 'bfloat16' with amsgrad=True, got '8bit': the maximum "
                "of an s that is rounded at random by up to an eighth would drift upwards"
            )
            raise ValueError(msg)

    @classmethod
    def of(cls, group: Mapping[str, Any]) -> Hyperparameters:
        """The options in a parameter group; its other keys are somebody else's."""
        return cls(**{field.name: group[field.name] for field in fields(cls)})


def _check_number(name: str, value: object, allowed: str) -> None:
    """Refuse what is not a real number in `allowed`, an interval such as "[0, 1)"."""
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"{name} must be a number in {allowed}, got {value!r}"
        raise TypeError(msg)
    low, high = (float(end) for end in allowed[1:-1].split(","))
    number = float(value)
    above = number > low if allowed[0] == "(" else number >= low
    below = number < high if allowed[-1] == ")" else number <= high
    if not (above and below):  # also catches NaN
        msg = f"{name} must be in {allowed}, got {value!r}"
        raise ValueError(msg)


def _check_kind(name: str, value: object, choices: tuple[object, ...]) -> None:
    if not any(value is choice for choice in choices):
        *first, last = map(str, choices)
        msg = f"{name} must be {', '.join(first)} or {last}, got {value!r}"
        raise TypeError(msg)


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a word that is not among `choices`."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        *first, last = map(repr, choices)
        msg = f"{name} must be {', '.join(first)} or {last}, got {value!r}"
        kind = ValueError if isinstance(value, (str, torch.dtype)) else TypeError
        raise kind(msg)


def _value(name: str, value: object) -> object:
    """The number in a tensor of one element; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    if value.numel() != 1:
        msg = f"Tensor {name} must be 1-element, got shape {tuple(value.shape)}"
        raise ValueError(msg)
    return value.item()


def _check_betas(betas: object) -> None:
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        msg = f"betas must be a pair of numbers, got {betas!r}"
        raise TypeError(msg)
    if len({isinstance(beta, Tensor) for beta in betas}) == 2:
        msg = f"betas must be either both floats or both Tensors, got {betas!r}"
        raise ValueError(msg)
    beta1, beta2 = (_value(f"betas[{i}]", beta) for i, beta in enumerate(betas))
    if isinstance(beta1, Real) and not isinstance(beta1, bool) and float(beta1) == 0:
        msg = (
            "betas[0] must be in (0, 1), got 0: the moment would equal the gradient, so the belief "
            "(g - m)² would be 0 for ever and the step would explode; take betas[0]=0.01 or more"
        )
        raise ValueError(msg)
    _check_number("betas[0]", beta1, "(0, 1)")
    _check_number("betas[1]", beta2, "[0, 1)")


def _check_set(feasible_set: object) -> None:
    is_set = callable(getattr(feasible_set, "project", None)) and not isinstance(feasible_set, type)
    if feasible_set is not None and not is_set:
        msg = (
            "feasible_set must be None or have project(point, metric), such as "
            f"adabelief.feasible.Box(-1, 1), got {feasible_set!r}"
        )
        raise TypeError(msg)


def _check_decay(weight_decay: float | Tensor, decoupled: bool, fixed: bool) -> None:
    if fixed is True and decoupled is False:
        msg = (
            "fixed_decay=True needs decoupled_weight_decay=True, got False: "
            "a coupled decay is part of the gradient, which lr always scales"
        )
        raise ValueError(msg)
    # A fixed decay above 1 would flip the sign of every parameter at every step.
    allowed = "[0, 1]" if fixed is True else "[0, inf)"
    _check_number("weight_decay", _value("weight_decay", weight_decay), allowed)
