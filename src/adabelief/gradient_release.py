"""Gradient release: each parameter is stepped inside backward, and its gradient freed at once.

The gradients of the whole model never exist together: their memory is not needed, and each is
used while it is still in the cache. docs/release.md has the numbers.

Whoever wants all gradients after backward (clipping by their norm, a GradScaler, data parallelism,
accumulation) comes too late. So that nobody learns it from a bad loss, a placeholder without memory
stays in `param.grad` until `optimizer.step()`: an operation on it raises an error with the reason.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from adabelief.optimizer import AdaBelief, Part

ACCUMULATION = (
    "gradients of several backward passes cannot be summed, each would be a step of its own; "
    "call optimizer.step() after each backward, take larger batches, and freeze parameters that "
    "a loss is not to train"
)
SCALER = (
    "a GradScaler can neither unscale it nor leave the step out if it is not finite; train in "
    "bfloat16, which needs no scaler"
)
AVERAGE = (
    "it cannot be averaged over processes any more; torch.distributed.fsdp.fully_shard does that "
    "before the gradient is used"
)
# By a part of the operation's name in ATen: why it cannot be done, and what to do instead.
REASONS: Mapping[str, str] = {
    "norm": (
        "a norm of all gradients cannot be had after backward, nor clipping by it; clip each "
        "gradient by itself, in param.register_hook, or the update, by AdaBelief's clip_update"
    ),
    "clamp": (
        "it cannot be clipped any more; clip it in param.register_hook, before it is used, or the "
        "update, by AdaBelief's clip_update"
    ),
    "_amp_": SCALER,
    "mul.out": AVERAGE,  # DistributedDataParallel, into its bucket
    "c10d": AVERAGE,
    "add": ACCUMULATION,
    "": "what needs it must be done before, in param.register_hook, or without release_gradients",
}


class ReleasedGradient(Tensor):
    """Stands in `param.grad` for a gradient that was freed; of its shape and dtype, no memory."""

    parameter: str

    @staticmethod
    def __new__(cls, param: Tensor, parameter: str) -> ReleasedGradient:
        """Make the placeholder of `param`, which is called `parameter` in messages."""
        made: ReleasedGradient = Tensor._make_wrapper_subclass(
            cls, param.shape, dtype=param.dtype, device=param.device
        )
        made.parameter = parameter
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub forgets cls and func
        cls,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse every operation."""
        found = torch.utils._pytree.tree_leaves((args, kwargs))
        name = next(each.parameter for each in found if isinstance(each, cls))
        reason = next(reason for part, reason in REASONS.items() if part in str(func))
        msg = f"{func} on the gradient of {name}, which release_gradients used and freed: {reason}"
        raise RuntimeError(msg)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"ReleasedGradient({self.parameter})"


def release_gradients(model: nn.Module, optimizer: AdaBelief) -> GradientRelease:
    """Step each parameter of `model` as soon as backward has its gradient, and free the gradient.

    The training loop stays as it is, `optimizer.step()` included, and so does its outcome, bit for
    bit: one optimizer with its groups, state, schedules and checkpoints. Parameters that only one
    of the two has are not touched: the optimizer steps its own in `step()`, as always. So are,
    once, parameters that are unfrozen or given to the optimizer later; from then on they are
    released too.

    Options, such as lr, must be set before backward. `step()` still must be called once after each
    backward; it runs its closure and hooks, and steps what was not released.

    Args:
        model: whose parameters are released, all or a part of the optimizer's. Wrap it before
            (torch.compile, fully_shard).
        optimizer: the AdaBelief itself, not what a framework wrapped around it.

    Returns:
        A handle, and context manager, that ends it: `handle.remove()`.

    Raises:
        TypeError: `optimizer` is no AdaBelief or `model` no module.
        ValueError: nothing to release, released already, differentiable=True, or a model that
            averages gradients over processes after backward has used them.
        RuntimeError: later. Inside backward, before the parameter at hand moves: it was stepped
            and `optimizer.step()` not called since (gradient accumulation), create_graph=True, or
            a grad_scale in the optimizer. From any operation on a freed gradient, such as
            clip_grad_norm_ or GradScaler.step. In `step()`: an option changed since backward.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = AdaBelief(model.parameters(), lr=1e-3)
        >>> handle = release_gradients(model, optimizer)
        >>> model(torch.ones(2)).sum().backward()  # the parameters move here
        >>> optimizer.step()
    """
    if not isinstance(optimizer, AdaBelief):
        msg = (
            "optimizer must be the AdaBelief itself, not a wrapper around it, "
            f"got {type(optimizer).__name__}"
        )
        raise TypeError(msg)
    if not isinstance(model, nn.Module):
        msg = f"model must be a torch.nn.Module, got {type(model).__name__}"
        raise TypeError(msg)
    _check_not_averaged_later(model)
    names: dict[Tensor, str] = {param: name for name, param in model.named_parameters()}
    common = [param for param in _params(optimizer) if param in names]
    if not common:
        msg = "model and optimizer must have parameters in common, got none"
        raise ValueError(msg)
    for param in common:
        if any(isinstance(hook, Hook) and hook.release() is not None for hook in _hooks(param)):
            msg = f"parameters must be released once, got {names[param]} again"
            raise ValueError(msg)
    _check_in_place(optimizer)
    return GradientRelease(optimizer, names)


class GradientRelease:
    """What `release_gradients` returns: the hooks, and what was stepped since the last `step()`.

    Args:
        optimizer: whose parameters are stepped.
        names: the model's parameters and their names in it.
    """

    def __init__(self, optimizer: AdaBelief, names: Mapping[Tensor, str]) -> None:
        self._optimizer = optimizer
        self._names = names
        self._handles: dict[Tensor, RemovableHandle] = {}
        self._placeholders: dict[Tensor, ReleasedGradient] = {}
        # All of one iteration: gathered at its first gradient, emptied by step().
        self._places: dict[Tensor, Part] = {}  # in the optimizer
        self._options: list[tuple[dict[str, Any], dict[str, Any]]] = []  # groups as they were
        self._stepped: dict[Tensor, None] = {}
        self._step_handle = optimizer.register_step_pre_hook(self._before_step)
        self._attach()

    def remove(self) -> None:
        """End it; may be called twice. Gradients stay from the next backward on."""
        self._forget()
        self._step_handle.remove()
        for handle in self._handles.values():
            handle.remove()

    def __enter__(self) -> GradientRelease:
        """Return itself; leaving the block is `remove()`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.remove()

    def _attach(self) -> None:
        """Hook the parameters that have no hook yet; one that is frozen cannot have one."""
        for param in _params(self._optimizer):
            if param not in self._handles and param.requires_grad and param in self._names:
                self._handles[param] = param.register_post_accumulate_grad_hook(Hook(self))

    def _step_now(self, param: Tensor) -> None:
        """Step one parameter, whose gradient is complete, and free the gradient."""
        if not self._places:
            self._begin_iteration()
        place = self._places.get(param)
        if place is None or param.grad is None:  # not the optimizer's any more
            return
        name = self._names[param]
        if param in self._stepped:
            param.grad = self._placeholder(param)  # step() must not use what is refused here
            msg = f"a second gradient of {name} before optimizer.step(): {ACCUMULATION}"
            raise RuntimeError(msg)
        if torch.is_grad_enabled():
            msg = (
                f"create_graph=True with release_gradients: the step of {name} would overwrite "
                "what the graph of its gradient needs; take torch.autograd.grad for the inner "
                "gradient, or do not release"
            )
            raise RuntimeError(msg)
        self._optimizer._step_parts([place])
        self._stepped[param] = None
        param.grad = self._placeholder(param)

    def _begin_iteration(self) -> None:
        """Look at the optimizer as it is now: it may have loaded a checkpoint, or got a group."""
        optimizer = self._optimizer
        _check_in_place(optimizer)
        optimizer._check_capture()
        for key in ("grad_scale", "found_inf"):
            if getattr(optimizer, key, None) is not None:
                msg = f"release_gradients with optimizer.{key}: {SCALER}"
                raise RuntimeError(msg)
        self._places = {
            param: (group, [param], first + i)
            for group, params, first in optimizer._parts()
            for i, param in enumerate(params)
        }
        # Not the parameters: more may come into a group at any time.
        self._options = [
            (group, {key: value for key, value in group.items() if key != "params"})
            for group in optimizer.param_groups
        ]

    def _end_iteration(self) -> None:
        """In `step()`, before the parameters that have gradients."""
        options = self._options if self._stepped else []
        self._forget()
        self._attach()
        for group, before in options:
            for key, value in before.items():
                if group[key] is not value and group[key] != value:
                    msg = (
                        f"{key} must be set before backward, where release_gradients steps, got "
                        f"{group[key]!r} in place of {value!r} between backward and step()"
                    )
                    raise RuntimeError(msg)

    def _forget(self) -> None:
        for param in self._stepped:
            if isinstance(param.grad, ReleasedGradient):
                param.grad = None
        self._stepped.clear()
        self._places, self._options = {}, []

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The hook of `step(closure)`; args[0] is the optimizer."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._end_iteration()
            return None

        def evaluate() -> Any:
            loss = closure()
            self._end_iteration()  # what this backward stepped, step() must not step again
            return loss

        return (optimizer, evaluate), {}

    def _placeholder(self, param: Tensor) -> ReleasedGradient:
        """A new one only after the model was cast or moved."""
        kept = self._placeholders.get(param)
        if kept is None or (kept.dtype, kept.device) != (param.dtype, param.device):
            kept = self._placeholders[param] = ReleasedGradient(param, self._names[param])
        return kept


class Hook:
    """What a parameter calls when its gradient is complete.

    Garbage collection does not see a parameter's hooks (torch 2.14): what they hold lives for
    ever if it holds the parameter. So this one does not hold the release; the optimizer does.
    """

    def __init__(self, release: GradientRelease) -> None:
        self.release = weakref.ref(release)

    def __call__(self, param: Tensor) -> None:
        """Step it, unless its optimizer is gone."""
        release = self.release()
        if release is not None:
            release._step_now(param)


def _params(optimizer: Optimizer) -> Iterable[Tensor]:
    return (param for group in optimizer.param_groups for param in group["params"])


def _hooks(param: Tensor) -> Iterable[Callable[..., Any]]:
    """The hooks that torch will call with the parameter; None until there is one."""
    return (param._post_accumulate_grad_hooks or {}).values()


def _check_in_place(optimizer: AdaBelief) -> None:
    if any(group["differentiable"] for group in (optimizer.defaults, *optimizer.param_groups)):
        msg = (
            "differentiable must be False with release_gradients, got True: the step inside "
            "backward would overwrite what autograd still needs"
        )
        raise ValueError(msg)


def _check_not_averaged_later(model: nn.Module) -> None:
    """Refuse wrappers that use a gradient after the hook, when it is gone."""
    wrappers: tuple[type, ...] = (DistributedDataParallel,)
    # Importing it takes a second; who has a model of this class has imported it.
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is not None:
        wrappers = (*wrappers, fsdp.FullyShardedDataParallel)
    for module in model.modules():
        if isinstance(module, wrappers):
            msg = (
                f"model must not be a {type(module).__name__} to release gradients: it averages "
                "them over processes after they were used; "
                "torch.distributed.fsdp.fully_shard does it before"
            )
            raise ValueError(msg)
