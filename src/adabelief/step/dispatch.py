"""From a group's tensors to update rules: what can be updated, sorted by the path it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adabelief.feasible.box import bounds
from adabelief.kernels import cpu
from adabelief.kernels.abi import NARROW, PLAIN_TYPES
from adabelief.low_precision.random_bits import Key, key
from adabelief.step import fused_cpu, fused_cuda, single_tensor
from adabelief.step.dtensor import local, offset, projection
from adabelief.step.paths import Path, choose, cpu_kernel_applies, kernel_applies, wants_kernel
from adabelief.step.scalars import coefficients, traced_coefficients
from adabelief.step.sparse import real
from adabelief.step.state import arithmetic_dtype, small_state
from adabelief.step.stored_state import Storage, update_stored


class Gathered(NamedTuple):
    """The parameters of a group that have gradients, and their state: lists side by side.

    Args:
        params: θ.
        grads: g.
        exp_avgs: m.
        exp_avg_vars: s.
        max_exp_avg_vars: the maximum of s; empty without amsgrad.
        exponents: of an 8-bit s; empty for other formats.
        master_bits: empty without master_weights="split".
        steps: t.
    """

    params: list[Tensor]
    grads: list[Tensor]
    exp_avgs: list[Tensor]
    exp_avg_vars: list[Tensor]
    max_exp_avg_vars: list[Tensor]
    exponents: list[Tensor]
    master_bits: list[Tensor]
    steps: list[Tensor]


def nothing_gathered() -> Gathered:
    """Lists to gather into."""
    return Gathered([], [], [], [], [], [], [], [])


@dataclass(frozen=True)
class _Bucket:
    """What one call of an update rule takes: tensors of one device and dtype, at one step.

    Args:
        group: the options.
        params: whole parameters.
        parts: per kind of array, the parts of this process, as real numbers.
        steps: t of each.
        positions: numbers of the parameters in the optimizer.
    """

    group: Mapping[str, Any]
    params: Sequence[Tensor]
    parts: Sequence[list[Tensor]]
    steps: Sequence[Tensor]
    positions: Sequence[int]

    def of(self, indices: Sequence[int]) -> _Bucket:
        """A part of it."""

        def chosen(own: Sequence[Any]) -> list[Any]:
            return [own[i] for i in indices] if own else []

        return _Bucket(
            self.group,
            chosen(self.params),
            [chosen(own) for own in self.parts],
            chosen(self.steps),
            chosen(self.positions),
        )

    def storage(self, step: int | None) -> Storage:
        """How the arrays are kept."""
        param, group = self.params[0], self.group
        small = small_state(group) if arithmetic_dtype(param) == torch.float32 else None
        master_weights = group["master_weights"] if param.dtype == torch.bfloat16 else None
        *_, exponents, master_bits = self.parts
        found = Storage(
            small, master_weights, exponents, master_bits if master_weights == "split" else ()
        )
        if not found.random:
            return found
        keys: list[Key] = []
        for position, time, param in zip(self.positions, self.steps, self.params, strict=True):
            shift = offset(param)
            if step is None:
                keys.append(key(position, time.to(param.device, torch.int64), shift))
            else:
                keys.append(key(position, step, shift))
        return Storage(small, master_weights, found.exponents, found.master_bits, keys)


def update(
    group: Mapping[str, Any], arrays: Gathered, positions: Sequence[int], grad_scale: float
) -> None:
    """Sort the tensors into buckets of one path, device, dtype and step, and update each.

    Args:
        group: the options.
        arrays: the tensors that have gradients.
        positions: their parameters' numbers in the optimizer; needed where rounding is at random.
        grad_scale: what the gradients were multiplied with.
    """
    *parts, steps = arrays
    params = parts[0]
    if any(type(param) not in PLAIN_TYPES or param.is_complex() for param in params):
        exponents = parts.pop(5)  # they are this process's own
        parts = [[_part(*pair) for pair in zip(own, params, strict=False)] for own in parts]
        parts.insert(5, exponents)
    if grad_scale != 1:
        parts[1] = [grad / grad_scale for grad in parts[1]]
    torch._foreach_add_(steps, 1)  # after the last thing that may be refused
    whole = _Bucket(group, params, parts, steps, positions)
    rest = _update(whole, range(len(params)), kernel=wants_kernel(group))
    if rest:
        _update(whole, rest, kernel=False)


def _update(whole: _Bucket, indices: Iterable[int], *, kernel: bool) -> list[int]:
    """Update these arrays, if possible by the kernel; return those that it left."""
    group = whole.group
    differentiable = group["differentiable"]
    # Whoever traces must not look at t: it will have another value when the trace is replayed.
    # (While torch.compile traces, it lets every group's capturable read True.)
    traced = group["capturable"] or differentiable
    boxed = group["feasible_set"] is None or bounds(group["feasible_set"]) is not None
    buckets: dict[Any, tuple[Path | None, list[int]]] = {}
    for i in indices:
        param, grad = whole.parts[0][i], whole.parts[1][i]
        path: Path | None = None
        strided = grad.layout is torch.strided
        if not (kernel and boxed and strided and _kernel_applies(param.device.type, group)):
            path = choose(
                param, grad, group["foreach"], traced=traced, differentiable=differentiable
            )
        step = None if traced else int(whole.steps[i])
        # id: torch.compile cannot hash a module, and these live for ever.
        where = (id(path), param.device, whole.params[i].dtype, step)
        buckets.setdefault(where, (path, []))[1].append(i)
    rest = []
    for (*_, step), (path, bucket) in buckets.items():
        left = _update_bucket(whole.of(bucket), path, step)
        rest += [bucket[i] for i in left]
    return rest


def _kernel_applies(device: str, group: Mapping[str, Any]) -> bool:
    """Whether there is a kernel on this type of device, and may be used under these options."""
    if device == fused_cuda.DEVICE:  # experimental: only if asked for
        asked = group["fused"] is True and kernel_applies(group)
        return asked and fused_cuda.unavailable() is None
    return device == "cpu" and cpu_kernel_applies(group)


def _update_bucket(bucket: _Bucket, path: Path | None, step: int | None) -> list[int]:
    """Run one update rule, the kernel if `path` is None; return what the kernel left."""
    group, storage = bucket.group, bucket.storage(step)
    params, grads, first, second, most = bucket.parts[:5]
    dtype = arithmetic_dtype(params[0])
    if step is None:
        c = traced_coefficients(group, bucket.steps, first[0].device, dtype)
    else:
        c = coefficients(group, step)
    if path is None:
        box = bounds(group["feasible_set"])
        on_device = params[0].device.type == fused_cuda.DEVICE
        rule = fused_cuda.update if on_device else fused_cpu.update
        return rule(params, grads, first, second, most, c, bounds=box, storage=storage)
    feasible_set = group["feasible_set"]
    to = [] if feasible_set is None else [projection(feasible_set, p) for p in bucket.params]
    if not storage:
        path.update(params, grads, first, second, most, c, to)
        return []
    # The loop is chosen where memory counts: one tensor at a time is widened.
    pieces = (
        [[i] for i in range(len(params))] if path is single_tensor else [list(range(len(params)))]
    )
    for piece in pieces:
        (params, grads, first, second, most) = bucket.of(piece).parts[:5]
        own = storage.of(piece[0]) if path is single_tensor else storage
        there = [to[i] for i in piece] if to else []
        update_stored(path.update, params, grads, first, second, most, c, there, own)
    return []


def _part(tensor: Tensor, param: Tensor) -> Tensor:
    """This process's part of a tensor, complex numbers as pairs of reals."""
    part = local(tensor, param)
    return real(part) if part.layout is torch.strided else part


def check_params(group: Mapping[str, Any]) -> None:
    """Refuse parameters that cannot be updated, or not with these options.

    Raises:
        ValueError: one is sparse, or complex where a feasible set wants reals, or of a dtype that
            `state_dtype` or `master_weights` are not for.
        RuntimeError: fused=True and the kernel is not available.
    """
    for param in group["params"]:
        reason = _no_kernel(param) if group["fused"] else None
        if reason is not None:
            msg = f"fused must be None or False here, got True: {reason}"
            raise RuntimeError(msg)
        if param.layout is not torch.strided:
            msg = f"AdaBelief requires dense (strided) parameters, got layout {param.layout}"
            raise ValueError(msg)
        if param.is_complex() and group["feasible_set"] is not None:
            msg = f"feasible_set needs real parameters, got {param.dtype}"
            raise ValueError(msg)
        if group["state_dtype"] is not None and param.dtype not in NARROW:
            msg = (
                f"state_dtype must be None for parameters of {param.dtype}, got "
                f"{small_state(group)!r}: small state is for {', '.join(map(str, NARROW))}"
            )
            raise ValueError(msg)
        if group["master_weights"] is not None and param.dtype == torch.float16:
            msg = (
                f"master_weights must be None for parameters of torch.float16, got "
                f"{group['master_weights']!r}: only torch.bfloat16 is the upper half of a float32"
            )
            raise ValueError(msg)


def _no_kernel(param: Tensor) -> str | None:
    """Why the kernel for this tensor's device is not there; on other devices foreach is used."""
    unavailable = {"cpu": cpu.unavailable, "cuda": fused_cuda.unavailable}
    return unavailable.get(param.device.type, lambda: None)()


def check_lazy(group: Mapping[str, Any]) -> None:
    """Refuse a sparse gradient where a lazy update would not be what the options ask for.

    Raises:
        RuntimeError: the message has the option and the reason.
    """
    why = {
        "weight_decay": "the decay of rows without a gradient would be left out",
        "feasible_set": "the projection needs the rows without a gradient",
        "capturable": "the number of touched rows is known to the host only",
        "differentiable": "the rows are updated in place",
        "state_dtype": "its random bits are numbered over the whole tensor",
        "master_weights": "its bits are kept for the whole tensor",
    }
    for option, reason in why.items():
        value = group[option]
        # A set may be falsy (an empty container, say) and is a set nevertheless.
        if isinstance(value, Tensor) or (value is not None and value != 0):
            msg = (
                f"AdaBelief does not support sparse gradients with {option}={value}: {reason}; "
                "use sparse=False in the layer that makes them"
            )
            raise RuntimeError(msg)
