"""Formats of s that are known to be bad, to see that the measurements can tell.

Both keep m in bfloat16, as the formats that they are controls for, and round after each step.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from adabelief import AdaBelief

BLOCK = 256


class RoundedState(AdaBelief):
    """AdaBelief whose state goes through another format after each step."""

    @abstractmethod
    def rounded(self, s: Tensor) -> Tensor:
        """`s` (float32, ≥ 0) as it comes back from the format."""

    def step(self, closure: Any = None) -> Any:
        """Step, then round m and s."""
        loss = super().step(closure)
        with torch.no_grad():
            for state in self.state.values():
                state["exp_avg"].copy_(state["exp_avg"].bfloat16())
                state["exp_avg_var"].copy_(self.rounded(state["exp_avg_var"]))
        return loss


class NearestBfloat16(RoundedState):
    """s to the nearest bfloat16."""

    def rounded(self, s: Tensor) -> Tensor:
        """To nearest even."""
        return s.bfloat16()


class Linear8bit(RoundedState):
    """s to the nearest of 256 equal steps from 0 to the largest of its block of 256 elements."""

    def rounded(self, s: Tensor) -> Tensor:
        """As 8-bit Adam would keep it with a linear code."""
        flat = s.reshape(-1)
        blocks = torch.nn.functional.pad(flat, (0, -flat.numel() % BLOCK)).view(-1, BLOCK)
        step = blocks.amax(dim=1, keepdim=True) / 255
        codes = (blocks / step.clamp_min(torch.finfo(torch.float32).tiny)).round()
        return (codes * step).view(-1)[: flat.numel()].view_as(s)
