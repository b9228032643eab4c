"""`AdaBelief`, the torch.optim.Optimizer: groups, state, closure, and the choice of a path."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from adabelief.checkpoint import check_fits, read_checkpoint, translate
from adabelief.checkpoint.state_dict import checked_loading, portable_saving
from adabelief.hyperparameters import Hyperparameters
from adabelief.step.cpu_fast_path import FastStep
from adabelief.step.dispatch import (
    Gathered,
    check_lazy,
    check_params,
    nothing_gathered,
    update,
)
from adabelief.step.state import EXPONENT, fill, small_state, step_count

if TYPE_CHECKING:
    from adabelief.feasible import FeasibleSet

Loss = TypeVar("Loss", float, Tensor)
# Options, some of a group's parameters that follow each other, and the first one's number in the
# optimizer.
Part: TypeAlias = tuple[Mapping[str, Any], list[Tensor], int]


class AdaBelief(Optimizer):
    r"""AdaBelief: steps are large where gradients are as predicted, small where they surprise.

    Algorithm 2 of Zhuang et al., NeurIPS 2020 (arXiv:2010.07468), for every parameter θ with
    gradient g, element by element, at step t = 1, 2, ...::

        m ← β₁ m + (1 − β₁) g                       prediction of the gradient
        s ← β₂ s + (1 − β₂)(g − m)² + ε             its mean squared error: the (dis)belief
        θ ← Π_F(θ − α m̂ / (√ŝ + ε)),   m̂ = m / (1 − β₁ᵗ),   ŝ = s / (1 − β₂ᵗ)

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
        fixed_decay: shrink by 1 − λ instead, whatever lr is, as long as it is not 0.
        amsgrad: divide by the running maximum of s (the paper's condition s_t ≤ s_{t+1}).
        rectify: RAdam's warm-up factor; until its ρ_t > 5 the direction is m̂ alone.
        bias_correction: False uses m and s as they are (the paper's theorems).
        clip_update: largest |m̂ / (√ŝ + ε)| of any element: a guard for gradients that hardly
            change, where s → 0. With it no element moves by more than lr · clip_update.
        maximize: ascend.
        feasible_set: F; after each step θ is projected onto it, to the nearest point of F in the
            metric √ŝ, see `adabelief.feasible`. None is no constraint.
        foreach: True runs each operation over all tensors at once, False one tensor after the
            other; None chooses what is faster (docs/decisions.md).
        capturable: keep t beside the parameters and never look at a value from the host, so that
            the step can be captured in a CUDA graph. A tensor lr must lie there too. Not run on
            a GPU by us; checked with fake CUDA tensors.
        fused: True updates all parameters by one kernel that reads and writes every array once;
            False never does. None does on the CPU, where the kernel was built. What the kernel
            cannot take (sparse gradients, memory with gaps, feasible sets other than boxes,
            subclasses of tensors, capturable on the CPU) goes by foreach or the loop. On CUDA the
            kernel is experimental, and only used if asked for.
        differentiable: let autograd go through the step. Parameters must then not be leaves,
            and losses be computed from clones of them (examples/meta_learning.py).
        state_dtype: "bfloat16" keeps m and s in 2 bytes each, "8bit" s in 1 (docs/small_state.md);
            None in 4. s is rounded at random, reproducibly, since to nearest it would stand still.
        master_weights: what bfloat16 parameters lack of float32: "split" keeps the other sixteen
            bits as state, so that they move as float32 parameters would; "stochastic" rounds at
            random; None to nearest, which loses steps below 2⁻⁹ of a parameter.

    Raises:
        ValueError: an option is out of range; the message has name, value and range.
        TypeError: an option is of the wrong kind.
        RuntimeError: fused=True where the kernel is not available, with the reason, or together
            with foreach=True or differentiable=True; at `step`, for sparse gradients where an
            option needs all rows.

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
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        state_dtype: str | torch.dtype | None = None,
        master_weights: str | None = None,
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
            fused=fused,
            capturable=capturable,
            differentiable=differentiable,
            state_dtype=state_dtype,
            master_weights=master_weights,
        )
        super().__init__(params, {f.name: getattr(checked, f.name) for f in fields(checked)})

    @classmethod
    def from_checkpoint(
        cls,
        params: ParamsT,
        checkpoint: Mapping[str, Any] | str | os.PathLike[str],
        *,
        source: str | None = None,
        **options: Any,
    ) -> AdaBelief:
        """Return an optimizer that goes on where another AdaBelief, or Adam, stopped.

        Args:
            params: as for the constructor, in the groups and the order of the checkpoint.
            checkpoint: an optimizer's state_dict, a training checkpoint with one in it, or the
                path of a file with either (read with `torch.load(weights_only=True)`).
            source: which library wrote it, one of `adabelief.checkpoint.SOURCES`; None tells it
                from the keys. "adam" is a warm start from torch's Adam or AdamW and must be
                asked for.
            options: as for the constructor; they win over the checkpoint's, in every group. What
                neither says has that library's default.

        Warns:
            UserWarning: for everything that was assumed or will not go on as it would have in
                the other library; docs/checkpoints.md has all of it.

        Raises:
            ValueError: the checkpoint is damaged, does not fit `params`, is not an AdaBelief's,
                or has options that have no counterpart. Nothing given is ever changed.
            TypeError: an option is of the wrong kind or not known.
        """
        translation = translate(read_checkpoint(checkpoint), source=source, options=options)
        optimizer = cls(params, **options)
        check_fits(translation.state_dict, optimizer.param_groups)
        optimizer.load_state_dict(translation.state_dict)
        translation.warn(stacklevel=2)
        return optimizer

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; what it does not say is taken from the constructor.

        Raises:
            ValueError: an option is out of range, or a parameter is sparse, or complex where a
                feasible set wants reals, or of a dtype that an option is not for; the optimizer is
                then as it was before.
            TypeError: an option is of the wrong kind; likewise.
            RuntimeError: fused=True where the kernel is not available; likewise.
        """
        if isinstance(param_group, dict):
            Hyperparameters.of({**self.defaults, **param_group})
        super().add_param_group(param_group)
        try:
            check_params(self.param_groups[-1])
        except (ValueError, RuntimeError):
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

    def state_dict(self) -> dict[str, Any]:
        """Options and state, as plain tensors that any AdaBelief can load.

        The tensors are the optimizer's own, as in every torch optimizer, but for two that are
        new: an s of 8 bits is given as bfloat16, which holds it exactly, and `master_bits` as
        `master_param`, the float32 parameter.
        """
        with portable_saving(self):
            return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned; tensors are copied, never shared or cast down.

        `Optimizer.load_state_dict` casts state to the parameter's dtype, which would round the
        float32 state of a bfloat16 parameter; here it keeps the dtype of the computation.

        Raises:
            ValueError: groups or state do not fit; the optimizer is then as it was before.
        """
        with checked_loading(self):
            super().load_state_dict(state_dict)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
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
        found_inf = getattr(self, "found_inf", None)  # GradScaler's, as is grad_scale
        if found_inf is None or not found_inf.item():
            self._step_parts(self._parts())
        return loss

    def _parts(self) -> Sequence[Part]:
        """The groups, whole."""
        parts: list[Part] = []
        first = 0
        for group in self.param_groups:
            parts.append((group, group["params"], first))
            first += len(group["params"])
        return parts

    def _step_parts(self, parts: Sequence[Part]) -> None:
        """Update the parameters of `parts` that have gradients: by the kernel, then the rest.

        All gradients are looked at before the first parameter moves: a refused one costs nothing.
        """
        scale = getattr(self, "grad_scale", None)  # torch.amp.GradScaler's
        grad_scale = 1.0 if scale is None else float(scale)
        fast = FastStep(self.state, grad_scale)
        slow = self._gather(parts, fast)
        if not fast.run():
            slow = self._gather(parts, None)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            for group, arrays, positions in slow:
                update(group, arrays, positions, grad_scale)

    def _gather(
        self, parts: Sequence[Part], fast: FastStep | None
    ) -> list[tuple[Mapping[str, Any], Gathered, list[int]]]:
        """Gather for the fast path what it takes; return the rest, with their numbers."""
        slow = []
        for group, params, first in parts:
            left = range(len(params)) if fast is None else fast.gather(group, params, first)
            if left:
                arrays = nothing_gathered()
                whole = len(left) == len(group["params"])
                # torch.compile runs `_init_group` as it is for a group that it can find again.
                own = group if whole else {**group, "params": [params[i] for i in left]}
                self._init_group(own, *arrays)
                positions = [first + i for i in left if params[i].grad is not None]
                if positions:
                    slow.append((group, arrays, positions))
        return slow

    def _check_capture(self) -> None:
        """Refuse to be captured into a CUDA graph with a step count that the host keeps.

        Raises:
            RuntimeError: a graph is being captured and capturable is off.
        """
        if torch.compiler.is_compiling() or not torch.cuda.is_available():
            return
        capturable = all(group["capturable"] for group in self.param_groups)
        if not capturable and torch.cuda.is_current_stream_capturing():
            msg = "capturable must be True to capture step() in a CUDA graph, got False"
            raise RuntimeError(msg)

    # torch.compile runs a method of this name while it traces, and takes the lists as inputs.
    def _init_group(
        self,
        group: Mapping[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        exp_avgs: list[Tensor],
        exp_avg_vars: list[Tensor],
        max_exp_avg_vars: list[Tensor],
        exponents: list[Tensor],
        master_bits: list[Tensor],
        steps: list[Tensor],
    ) -> None:
        """Gather the parameters that have gradients, and their state, new where it is missing."""
        for param in group["params"]:
            if param.grad is None:
                continue
            if param.grad.layout is not torch.strided:
                check_lazy(group)
            state = self.state[param]
            fill(state, param, group)
            params.append(param)
            grads.append(param.grad)
            exp_avgs.append(state["exp_avg"])
            exp_avg_vars.append(state["exp_avg_var"])
            if group["amsgrad"]:
                max_exp_avg_vars.append(state["max_exp_avg_var"])
            # The parameter stands for what it does not have: the lists go side by side.
            if small_state(group) == "8bit":
                exponents.append(state.get(EXPONENT, param))
            if group["master_weights"] == "split":
                master_bits.append(state.get("master_bits", param))
            steps.append(state["step"])

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether torch.amp.GradScaler may leave unscaling and skipping to `step`."""
        return all(group["fused"] is True for group in self.param_groups)
