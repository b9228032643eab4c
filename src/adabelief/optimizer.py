"""`AdaBelief`, the torch.optim.Optimizer: groups, state, closure, and the choice of a path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from adabelief.coefficients import coefficients
from adabelief.hyperparameters import Hyperparameters
from adabelief.state import State, check_loadable, fill, restore, step_count
from adabelief.update import choose


class AdaBelief(Optimizer):
    r"""AdaBelief: steps are large where gradients are as predicted, small where they surprise.

    Algorithm 2 of Zhuang et al., NeurIPS 2020 (arXiv:2010.07468), for every parameter θ with
    gradient g, element by element, at step t = 1, 2, ...::

        m ← β₁ m + (1 − β₁) g                       prediction of the gradient
        s ← β₂ s + (1 − β₂)(g − m)² + ε             its mean squared error: the (dis)belief
        θ ← θ − α m̂ / (√ŝ + ε),   m̂ = m / (1 − β₁ᵗ),   ŝ = s / (1 − β₂ᵗ)

    State of each parameter: `step` (0-dim float32), `exp_avg` (m), `exp_avg_var` (s), and with
    amsgrad `max_exp_avg_var`; shaped as the parameter, float32 for half-precision parameters
    and of the parameter's own dtype otherwise. Every option may differ between groups.

    Args:
        params: parameters, named parameters, or dicts of groups, as for every torch optimizer.
        lr: α ≥ 0, a number or a tensor of one element. No element moves by more than about
            lr · |m̂| / (√ŝ + ε): 1.1 lr at the first step with β₁ = 0.9.
        betas: (β₁, β₂). β₁ = 0 is refused: the residual g − m would vanish.
        eps: ε ≥ 0. Because it is added to s at every step it puts an exact floor under the
            denominator, √(ε / (1 − β₂)) + ε at every t: 3.2e-7 for 1e-16, 3.2e-3 for 1e-8
            (β₂ = 0.999). A large ε makes the steps alike, as SGD's; a small one adapts more.
            Adam's eps ε_A corresponds to (1 − β₂) ε_A².
        weight_decay: λ ≥ 0.
        decoupled_weight_decay: shrink θ by the factor 1 − αλ before the update (AdamW);
            False adds λθ to the gradient (L2), without writing into `param.grad`.
        fixed_decay: shrink by 1 − λ instead, whatever lr is.
        amsgrad: divide by the running maximum of s (the paper's condition s_t ≤ s_{t+1}).
        rectify: RAdam's warm-up factor; until its ρ_t > 5 the direction is m̂ alone.
        bias_correction: False uses m and s as they are (the paper's theorems).
        clip_update: largest |m̂ / (√ŝ + ε)| of any element: a guard for gradients that hardly
            change, where s → 0. With it no element moves by more than lr · clip_update.
        maximize: ascend.
        foreach: True runs each operation over all tensors at once, False one tensor after the
            other; None chooses what is faster (docs/decisions.md).

    Raises:
        ValueError: an option is out of range; the message has name, value and range.
        TypeError: an option is of the wrong kind.
        RuntimeError: at `step`, for sparse gradients.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = AdaBelief(model.parameters(), lr=1e-3)
        >>> model(torch.ones(2)).sum().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = True,
        fixed_decay: bool = False,
        amsgrad: bool = False,
        rectify: bool = False,
        bias_correction: bool = True,
        clip_update: float | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        checked = Hyperparameters(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            fixed_decay=fixed_decay,
            amsgrad=amsgrad,
            rectify=rectify,
            bias_correction=bias_correction,
            clip_update=clip_update,
            maximize=maximize,
            foreach=foreach,
        )
        super().__init__(params, {f.name: getattr(checked, f.name) for f in fields(checked)})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; what it does not say is taken from the constructor.

        Raises:
            ValueError: an option is out of range; the optimizer is then as it was before.
            TypeError: an option is of the wrong kind; likewise.
        """
        if isinstance(param_group, dict):
            Hyperparameters.of({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over pickled or loaded state; options unknown to an older version get defaults."""
        super().__setstate__(state)
        for options in (self.defaults, *self.param_groups):
            for field in fields(Hyperparameters):
                options.setdefault(field.name, field.default)
        for group in self.param_groups:
            for param in group["params"]:
                kept = self.state.get(param, {})
                if "step" in kept and not isinstance(kept["step"], Tensor):
                    kept["step"] = step_count(kept["step"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned; tensors are copied, never shared or cast down.

        `Optimizer.load_state_dict` casts state to the parameter's dtype, which would round the
        float32 state of a bfloat16 parameter; here it keeps the dtype of the computation.

        Raises:
            ValueError: groups or state do not fit; the optimizer is then as it was before.
        """
        seen: dict[str, Any] = {}

        def check(_: Optimizer, incoming: dict[str, Any]) -> None:
            check_loadable(self, incoming)
            seen.update(incoming)

        def put_back(_: Optimizer) -> None:
            restore(self, seen)

        # The last of the pre-hooks sees what the user's own hooks made of the state dict; the
        # first of the post-hooks lets them see the state as it will stay.
        before = self.register_load_state_dict_pre_hook(check)
        after = self.register_load_state_dict_post_hook(put_back, prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            before.remove()
            after.remove()

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one update of every parameter that has a gradient.

        Args:
            closure: evaluates the model anew and returns the loss; called once, with grad.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # All gradients are looked at before the first parameter moves: a refused one costs nothing.
        gathered = []
        for group in self.param_groups:
            params: list[Tensor] = []
            states: list[State] = []
            self._init_group(group, params, states)
            if params:
                gathered.append((group, params, states))
        for group, params, states in gathered:
            torch._foreach_add_([state["step"] for state in states], 1)
            _update(group, params, states)
        return loss

    def _init_group(
        self, group: Mapping[str, Any], params: list[Tensor], states: list[State]
    ) -> None:
        """Gather the parameters that have gradients, and their state, new where it is missing."""
        for param in group["params"]:
            if param.grad is None:
                continue
            if param.grad.layout is not torch.strided:
                msg = (
                    "AdaBelief does not support sparse gradients, got layout "
                    f"{param.grad.layout}; use sparse=False in the layer that makes them"
                )
                raise RuntimeError(msg)
            fill(self.state[param], param, amsgrad=group["amsgrad"])
            params.append(param)
            states.append(self.state[param])


def _update(group: Mapping[str, Any], params: list[Tensor], states: list[State]) -> None:
    """Sort the tensors into buckets of one device, dtype, step and path, and update each."""
    buckets: dict[tuple[Any, ...], list[tuple[Tensor, State]]] = defaultdict(list)
    for param, state in zip(params, states, strict=True):
        path = choose(param, group["foreach"])
        buckets[path, param.device, param.dtype, int(state["step"])].append((param, state))
    for (path, _, _, step), bucket in buckets.items():
        path.update(
            [_real(param) for param, _ in bucket],
            # Autograd's gradients of complex parameters may be lazily conjugated views.
            [_real(param.grad.resolve_conj()) for param, _ in bucket if param.grad is not None],
            [_real(state["exp_avg"]) for _, state in bucket],
            [_real(state["exp_avg_var"]) for _, state in bucket],
            [_real(state["max_exp_avg_var"]) for _, state in bucket] if group["amsgrad"] else [],
            coefficients(group, step),
        )


def _real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of reals: the algorithm is elementwise on those."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
