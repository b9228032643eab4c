"""SWATS (Keskar & Socher 2017, arXiv:1712.07628): Adam that becomes SGD, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from adabelief_lab.optimizers.implementations.declared_options import DeclaredOptions


class SWATS(DeclaredOptions):
    """Adam until the learning rate that SGD would need has settled, then SGD with that one.

    The paper's Algorithm 1. All parameters of a group are its one vector w, and switch together.
    A schedule that scales lr goes on to scale the learning rate that was found.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α of the phase of Adam.
        betas: decay rates β1 (also SGD's momentum) and β2 (also of the learning rate's average).
        eps: ε of Adam's denominator.
        tolerance: the phase ends when |λ / (1 − β2^t) − γ| is less; the paper has one ε for both.
        weight_decay: λ of g ← g + λθ, in both phases.

    Raises:
        ValueError: lr, eps or weight_decay is not in [0, inf), or a beta not in [0, 1).
    """

    OPTIONS: ClassVar = {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-9,  # Keskar & Socher 2017, Algorithm 1
        "tolerance": 1e-9,
        "weight_decay": 0.0,
    }

    def progress(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """t, λ_t and Λ/α of the group."""
        return {"step": 0, "average": 0.0, "sgd_factor": None}

    @torch.no_grad()
    def step_all(self) -> None:
        """Update every parameter that has a gradient, group by group."""
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if any(param.grad.is_sparse for param in params):
                msg = "SWATS does not support sparse gradients"
                raise RuntimeError(msg)
            decay = group["weight_decay"]
            grads = [param.grad.add(param, alpha=decay) for param in params]
            group["step"] += 1
            if group["sgd_factor"] is None:
                self._adam(params, grads, group)
            else:
                self._sgd(params, grads, group)

    def _adam(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> None:
        (beta1, beta2), lr, t = group["betas"], group["lr"], group["step"]
        correction = (1 - beta2**t) ** 0.5 / (1 - beta1**t)
        squares = product = 0.0  # pᵀp and pᵀg
        for param, grad in zip(params, grads, strict=True):
            state = self.state[param]
            if not state:
                state["exp_avg"], state["exp_avg_sq"] = (
                    torch.zeros_like(param),
                    torch.zeros_like(param),
                )
            exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
            # m ← β1 m + (1 − β1) g,  a ← β2 a + (1 − β2) g²
            exp_avg.lerp_(grad, 1 - beta1)
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            # p ← −α √(1 − β2^t) / (1 − β1^t) · m / (√a + ε),  w ← w + p
            move = exp_avg.div(exp_avg_sq.sqrt().add_(group["eps"])).mul_(-lr * correction)
            param.add_(move)
            squares += move.square().sum().item()
            product += (move * grad).sum().item()
        if product == 0.0:
            return
        # γ ← pᵀp / −pᵀg,  λ ← β2 λ + (1 − β2) γ
        needed = squares / -product
        group["average"] = beta2 * group["average"] + (1 - beta2) * needed
        found = group["average"] / (1 - beta2**t)
        # The authors' code asks for Λ > 0; their text does not, and ascends otherwise.
        if t > 1 and found > 0 and abs(found - needed) < group["tolerance"] and lr > 0:
            group["sgd_factor"] = found / lr
            for param in params:
                self.state[param] = {"momentum_buffer": torch.zeros_like(param)}

    def _sgd(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> None:
        beta1 = group["betas"][0]
        rate = group["lr"] * group["sgd_factor"]  # Λ, scheduled
        for param, grad in zip(params, grads, strict=True):
            state = self.state[param]
            if "momentum_buffer" not in state:  # its first gradient comes late
                state["momentum_buffer"] = torch.zeros_like(param)
            # v ← β1 v + g,  w ← w − (1 − β1) Λ v
            buffer = state["momentum_buffer"].mul_(beta1).add_(grad)
            param.add_(buffer, alpha=-(1 - beta1) * rate)
