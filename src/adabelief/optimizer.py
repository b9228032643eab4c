"""`AdaBelief`, the torch.optim.Optimizer: groups, state, closure, and the choice of a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from adabelief.coefficients import coefficients, traced_coefficients
from adabelief.hyperparameters import Hyperparameters
from adabelief.sharded import local, projection
from adabelief.state import check_loadable, fill, restore, step_count
from adabelief.update import Path, choose
from adabelief.update.lazy import real

if TYPE_CHECKING:
    from adabelief.feasible import FeasibleSet


# params, grads, exp_avgs, exp_avg_vars, max_exp_avg_vars (empty without amsgrad), steps
Arrays: TypeAlias = tuple[
    list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[Tensor]
]


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
        lr: α ≥ 0, a number or a tensor of one element (so may be `weight_decay` and both betas).
            No element moves by more than about lr · |m̂| / (√ŝ + ε): 1.1 lr at the first step
            with β₁ = 0.9.
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
        feasible_set: F; after each step θ is projected onto it, Π_{F,√ŝ}: the nearest point of
            F in the metric √ŝ, see `adabelief.feasible`. None is no constraint.
        foreach: True runs each operation over all tensors at once, False one tensor after the
            other; None chooses what is faster (docs/decisions.md).
        capturable: keep t beside the parameters and never look at a value from the host, so that
            the step can be captured in a CUDA graph. A tensor lr must lie there too. Not run on
            a GPU by us; checked with fake CUDA tensors.
        differentiable: let autograd go through the step. Parameters must then not be leaves,
            and losses be computed from clones of them (examples/meta_learning.py).

    Raises:
        ValueError: an option is out of range; the message has name, value and range.
        TypeError: an option is of the wrong kind.
        RuntimeError: at `step`, for sparse gradients where an option needs all rows.

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
        betas: tuple[float, float] | tuple[Tensor, Tensor] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float | Tensor = 0.0,
        *,
        decoupled_weight_decay: bool = True,
        fixed_decay: bool = False,
        amsgrad: bool = False,
        rectify: bool = False,
        bias_correction: bool = True,
        clip_update: float | None = None,
        feasible_set: FeasibleSet | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
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
            feasible_set=feasible_set,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
            differentiable=differentiable,
        )
        super().__init__(params, {f.name: getattr(checked, f.name) for f in fields(checked)})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; what it does not say is taken from the constructor.

        Raises:
            ValueError: an option is out of range, or a parameter is sparse, or complex where a
                feasible set wants reals; the optimizer is then as it was before.
            TypeError: an option is of the wrong kind; likewise.
        """
        if isinstance(param_group, dict):
            Hyperparameters.of({**self.defaults, **param_group})
        super().add_param_group(param_group)
        try:
            _check_params(self.param_groups[-1])
        except ValueError:
            self.param_groups.pop()
            raise

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

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one update of every parameter that has a gradient.

        Args:
            closure: evaluates the model anew and returns the loss; called once, with grad.

        Returns:
            What the closure returned, or None.

        Raises:
            RuntimeError: a gradient is sparse and an option needs all rows, or a CUDA graph is
                being captured and capturable is off. Nothing has moved then.
        """
        self._check_capture()
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # All gradients are looked at before the first parameter moves: a refused one costs nothing.
        gathered: list[tuple[dict[str, Any], Arrays]] = []
        for group in self.param_groups:
            arrays: Arrays = ([], [], [], [], [], [])
            self._init_group(group, *arrays)
            if arrays[0]:
                gathered.append((group, arrays))
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            for group, arrays in gathered:
                _update(group, *arrays)
        return loss

    # torch.compile runs a method of this name while it traces, and takes the lists as inputs.
    def _init_group(
        self,
        group: Mapping[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        exp_avgs: list[Tensor],
        exp_avg_vars: list[Tensor],
        max_exp_avg_vars: list[Tensor],
        steps: list[Tensor],
    ) -> None:
        """Gather the parameters that have gradients, and their state, new where it is missing."""
        for param in group["params"]:
            if param.grad is None:
                continue
            if param.grad.layout is not torch.strided:
                _check_lazy(group)
            state = self.state[param]
            fill(state, param, amsgrad=group["amsgrad"], capturable=group["capturable"])
            params.append(param)
            grads.append(param.grad)
            exp_avgs.append(state["exp_avg"])
            exp_avg_vars.append(state["exp_avg_var"])
            if group["amsgrad"]:
                max_exp_avg_vars.append(state["max_exp_avg_var"])
            steps.append(state["step"])

    def _check_capture(self) -> None:
        """Refuse to be captured into a CUDA graph with a step count that the host keeps."""
        if torch.compiler.is_compiling() or not torch.cuda.is_available():
            return
        capturable = all(group["capturable"] for group in self.param_groups)
        if not capturable and torch.cuda.is_current_stream_capturing():
            msg = "capturable must be True to capture step() in a CUDA graph, got False"
            raise RuntimeError(msg)


def _check_params(group: Mapping[str, Any]) -> None:
    for param in group["params"]:
        if param.layout is not torch.strided:
            msg = f"AdaBelief requires dense (strided) parameters, got layout {param.layout}"
            raise ValueError(msg)
        if param.is_complex() and group["feasible_set"] is not None:
            msg = f"feasible_set needs real parameters, got {param.dtype}"
            raise ValueError(msg)


def _check_lazy(group: Mapping[str, Any]) -> None:
    """Refuse a sparse gradient where a lazy update would not be what the options ask for."""
    why = {
        "weight_decay": "the decay of rows without a gradient would be left out",
        "feasible_set": "the projection needs the rows without a gradient",
        "capturable": "the number of touched rows is known to the host only",
        "differentiable": "the rows are updated in place",
    }
    for option, reason in why.items():
        value = group[option]
        if value is not None and (isinstance(value, Tensor) or value):
            msg = (
                f"AdaBelief does not support sparse gradients with {option}={value}: {reason}; "
                "use sparse=False in the layer that makes them"
            )
            raise RuntimeError(msg)


def _update(
    group: Mapping[str, Any],
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    steps: list[Tensor],
) -> None:
    """Sort the tensors into buckets of one path, device, dtype and step, and update each."""
    torch._foreach_add_(steps, 1)
    differentiable = group["differentiable"]
    # Whoever traces must not look at t: it will have another value when the trace is replayed.
    traced = group["capturable"] or differentiable or torch.compiler.is_compiling()
    feasible_set = group["feasible_set"]
    buckets: dict[Any, list[int]] = {}
    paths: list[Path] = []
    for i, param in enumerate(params):
        part = local(param, param)
        path = choose(
            part, grads[i], group["foreach"], traced=traced, differentiable=differentiable
        )
        step = None if traced else int(steps[i])
        paths.append(path)
        # id: torch.compile cannot hash a module, and these live for ever.
        buckets.setdefault((id(path), part.device, part.dtype, step), []).append(i)
    for (*_, step), bucket in buckets.items():
        ours, theirs, first, second = (
            [_part(arrays[i], params[i]) for i in bucket]
            for arrays in (params, grads, exp_avgs, exp_avg_vars)
        )
        most = [_part(max_exp_avg_vars[i], params[i]) for i in bucket] if max_exp_avg_vars else []
        if step is None:
            c = traced_coefficients(group, [steps[i] for i in bucket], first[0])
        else:
            c = coefficients(group, step)
        to = [projection(feasible_set, params[i]) for i in bucket] if feasible_set else []
        paths[bucket[0]].update(ours, theirs, first, second, most, c, to)


def _part(tensor: Tensor, param: Tensor) -> Tensor:
    """This process's part of a tensor, complex numbers as pairs of reals."""
    part = local(tensor, param)
    return real(part) if part.layout is torch.strided else part
