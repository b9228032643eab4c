"""EAdam (Yuan & Gao 2020, arXiv:2011.02150): Adam with AdaBelief's eps placement, no belief."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class EAdam(Optimizer):
    """Adam whose eps is added to the second moment at every step and stays in it.

    v ← β2 v + (1 − β2) g² + ε, then θ ← θ − α m̂ / (√v̂ + ε). It differs from AdaBelief in g²
    instead of (g − m)² only, so a difference between the two is what the belief does.

    Args:
        params: parameters, or groups of them.
        lr: learning rate α.
        betas: decay rates β1 of the first moment and β2 of the second.
        eps: ε; √v̂ never falls below √(ε / (1 − β2)).
        weight_decay: λ; decoupled: θ ← (1 − αλ) θ before the update.
        maximize: ascend instead of descend.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,  # Yuan & Gao 2020, section 4
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if not 0.0 <= value < float("inf"):
                msg = f"{name} must be in [0, inf), got {value}"
                raise ValueError(msg)
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                msg = f"betas[{i}] must be in [0, 1), got {beta}"
                raise ValueError(msg)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return the closure's loss, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, param.grad, group)
        return loss

    def _update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if grad.is_sparse:
            msg = "EAdam does not support sparse gradients"
            raise RuntimeError(msg)
        state = self.state[param]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        grad = -grad if group["maximize"] else grad
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        (beta1, beta2), eps, lr = group["betas"], group["eps"], group["lr"]
        state["step"] += 1
        step = state["step"].item()

        if group["weight_decay"] != 0.0:
            param.mul_(1 - lr * group["weight_decay"])
        # m ← β1 m + (1 − β1) g
        exp_avg.lerp_(grad, 1 - beta1)
        # v ← β2 v + (1 − β2) g² + ε
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2).add_(eps)
        # θ ← θ − α m̂ / (√v̂ + ε)
        denominator = (exp_avg_sq / (1 - beta2**step)).sqrt_().add_(eps)
        param.addcdiv_(exp_avg, denominator, value=-lr / (1 - beta1**step))
