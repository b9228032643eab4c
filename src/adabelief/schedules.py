"""Schedules of β₁ for any torch optimizer with `betas`, used as torch's schedulers of lr are."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


class Beta1Scheduler(ABC):
    """Sets β₁ of every parameter group to its first value times a factor of the step t.

    Call `step()` after each `optimizer.step()`. A β₁ that is a tensor is changed in place; of a
    group that is added later the β₁ that it brings is its first value. Betas are in the optimizer's
    state_dict, what they began with is in this one's.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            msg = f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}"
            raise TypeError(msg)
        self.optimizer = optimizer
        self.last_epoch = 0
        self.base_beta1s: list[float] = []
        self._set()

    @abstractmethod
    def factor(self, step: int) -> float:
        """β₁ₜ / β₁ at update number `step`; 1 at the first, and never more."""

    def step(self) -> None:
        """Go on to the β₁ of the next update."""
        self.last_epoch += 1
        self._set()

    def get_last_beta1(self) -> list[float]:
        """β₁ of every group now."""
        return [float(group["betas"][0]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name != "optimizer"
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a schedule stopped, before or after the optimizer's state is loaded.

        Raises:
            ValueError: it is of another kind of schedule, or of fewer or more groups.
        """
        if state_dict.keys() != self.state_dict().keys():
            msg = f"state_dict must have {sorted(self.state_dict())}, got {sorted(state_dict)}"
            raise ValueError(msg)
        given, groups = len(state_dict["base_beta1s"]), len(self.optimizer.param_groups)
        if given != groups:
            msg = f"state_dict must be of {groups} parameter groups, got {given}"
            raise ValueError(msg)
        vars(self).update({**state_dict, "base_beta1s": list(state_dict["base_beta1s"])})
        self._set()

    def _set(self) -> None:
        groups = self.optimizer.param_groups
        for position, group in enumerate(groups):
            if "betas" not in group:
                msg = (
                    "optimizer must have betas in every group, "
                    f"got {type(self.optimizer).__name__} without them in group {position}"
                )
                raise ValueError(msg)
        self.base_beta1s += [float(group["betas"][0]) for group in groups[len(self.base_beta1s) :]]
        factor = self.factor(self.last_epoch + 1)
        for base, group in zip(self.base_beta1s, groups, strict=True):
            # Never 0, which AdaBelief refuses: a geometric sequence ends there by rounding.
            beta1 = max(base * factor, sys.float_info.min)
            if isinstance(group["betas"][0], Tensor):
                group["betas"][0].fill_(beta1)
            else:
                group["betas"] = (beta1, *group["betas"][1:])


class ExponentialBeta1(Beta1Scheduler):
    """β₁ₜ = β₁ γᵗ⁻¹ at update t = 1, 2, ...

    Corollary 2.1.1 of the AdaBelief paper writes β₁ λᵗ, but theorem 2.1, which it belongs to, asks
    for a β₁₁ that is β₁, as the exponent t − 1 gives it (Reddi et al. 2018 have that one).

    Args:
        optimizer: any with betas, such as AdaBelief with bias_correction=False.
        gamma: γ in (0, 1), the paper's λ. With 0.9, β₁ is a tenth of itself after 22 steps: what
            remains is no longer a moving average, and s measures ever less (docs/algorithm.md).

    Raises:
        ValueError: gamma is out of range, or a group has no betas.
        TypeError: an argument is of the wrong kind.

    Example:
        >>> import torch
        >>> from adabelief import AdaBelief
        >>> optimizer = AdaBelief([torch.ones(1, requires_grad=True)], bias_correction=False)
        >>> schedule = ExponentialBeta1(optimizer, gamma=0.5)
        >>> for _ in range(3):
        ...     print(schedule.get_last_beta1())
        ...     optimizer.step()
        ...     schedule.step()
        [0.9]
        [0.45]
        [0.225]
    """

    gamma: float

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        if isinstance(gamma, bool) or not isinstance(gamma, Real):
            msg = f"gamma must be a number in (0, 1), got {gamma!r}"
            raise TypeError(msg)
        if not 0 < gamma < 1:
            msg = f"gamma must be in (0, 1), got {gamma!r}"
            raise ValueError(msg)
        self.gamma = float(gamma)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """γᵗ⁻¹."""
        return self.gamma ** (step - 1)


class InverseTimeBeta1(Beta1Scheduler):
    """β₁ₜ = β₁ / t at update t = 1, 2, ... (below corollary 2.1.1 of the AdaBelief paper).

    Args:
        optimizer: any with betas, such as AdaBelief with bias_correction=False.

    Raises:
        ValueError: a group has no betas.
        TypeError: `optimizer` is none.
    """

    def factor(self, step: int) -> float:
        """1/t."""
        return 1 / step
