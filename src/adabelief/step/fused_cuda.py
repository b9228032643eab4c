"""The step as one Triton kernel for many tensors: `fused=True` on CUDA. Not yet run on a GPU.

What it rests on until then is in docs/cuda.md. Nothing here imports Triton before it is used, and
nowhere does the host wait for the device.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import accumulate
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adabelief.kernels.abi import MASTER_WEIGHTS, NO_BOUNDS, STATE_DTYPES, Bounds
from adabelief.kernels.cpu import mark_changed
from adabelief.kernels.triton_rows import Row, check, overlapping
from adabelief.low_precision.e5m3 import BLOCK
from adabelief.step.scalars import Coefficients, Scalar
from adabelief.step.stored_state import AS_COMPUTED, Storage

# Elements of one program: four, sixteen bytes, for each of its 256 threads. With eight, some
# formats spill registers on some GPUs. Speed has not been measured.
TILE = 4 * BLOCK
WARPS = 8

DEVICE = "cuda"  # type of the device that the kernel runs on; "cpu" where tests interpret it


class ExperimentalWarning(UserWarning):
    """Something was chosen that has not been run on the hardware it is for."""


@cache
def unavailable() -> str | None:
    """None where the kernel can be used, else the reason why not."""
    if torch.version.hip is not None:
        return "the Triton kernel is for NVIDIA's GPUs: for others it has not even been compiled"
    try:
        kernel()
    except ImportError as error:
        return f"Triton cannot be imported ({error}); torch's builds for CUDA bring it along"
    return None


@cache
def kernel() -> ModuleType:
    """The module with the kernel, which imports Triton."""
    from adabelief.kernels import triton_step  # noqa: PLC0415, Triton may not be installed

    return triton_step


def update(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
    *,
    bounds: Bounds | None = None,
    storage: Storage = AS_COMPUTED,
) -> list[int]:
    """Do one step in place of the arrays that the kernel can take, on the current stream.

    Args:
        params: float64, float32, bfloat16 or float16, all on one device.
        grads: as `params`; any of the three narrow dtypes for any narrow parameter.
        exp_avgs: as `storage` says.
        exp_avg_vars: as `storage` says.
        max_exp_avg_vars: as `exp_avgs` with amsgrad, else empty.
        c: the scalars of this step: floats, or tensors of shape (n,) beside the parameters.
        bounds: of the feasible box.
        storage: the formats of the arrays.

    Returns:
        Indices of the arrays that were not touched: not plain, not dense, laid out otherwise than
        their parameter, or (then all) sharing memory with others or watched by a mode.

    Raises:
        RuntimeError: the kernel is not available; the message has the reason.

    Warns:
        ExperimentalWarning: once in a process.
    """
    reason = unavailable()
    if reason is not None:
        raise RuntimeError(reason)
    everything = list(range(len(params)))
    if watched() or (c.amsgrad and storage.state_dtype == "8bit"):
        return everything
    split = storage.master_weights == "split"
    found = []
    for i, arrays in enumerate(zip(params, grads, exp_avgs, exp_avg_vars, strict=True)):
        rest = storage.master_bits[i] if split and params[i].dtype == torch.bfloat16 else None
        most = max_exp_avg_vars[i] if c.amsgrad else None
        exponents = storage.exponents[i] if storage.exponents else None
        whole = (*arrays, most, exponents, rest)
        found.append(check(i, whole, storage.state_dtype, DEVICE))
    rows = [row for row in found if row is not None]
    if overlapping(rows):
        return everything
    buckets: dict[tuple[torch.dtype, torch.dtype, bool], list[Row]] = {}
    for row in rows:
        if row.numel:
            buckets.setdefault((row.param.dtype, row.grad_dtype, row.aligned), []).append(row)
    for bucket in buckets.values():
        _warn()
        with _current(params[0].device):
            launch(bucket, c, bounds or NO_BOUNDS, storage)
    mark_changed([row.param for row in rows])
    return [i for i, row in enumerate(found) if row is None]


def watched() -> bool:
    """Whether a mode (FakeTensorMode, a FLOP counter) wants to see what is done to tensors."""
    return torch._C._len_torch_dispatch_stack() > 0


@cache
def _warn() -> None:
    warnings.warn(
        "fused=True on CUDA is experimental: the kernel is compiled ahead of time and checked by "
        "an interpreter, and we have not run it on a GPU. benchmarks/cuda.py checks and times it "
        "on yours; fused=None is foreach, which is made of torch's own operations.",
        ExperimentalWarning,
        stacklevel=3,
    )


def _current(device: torch.device) -> AbstractContextManager[Any]:
    """Triton launches on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def launch(rows: Sequence[Row], c: Coefficients, bounds: Bounds, storage: Storage) -> None:
    """One kernel for rows that have dtypes and alignment in common."""
    first = rows[0]
    device, dtype = first.param.device, first.param.dtype
    tiles = [-(-row.numel // TILE) for row in rows]
    begins = accumulate(tiles[:-1], initial=0)
    columns = [
        (row.number, begin, count, row.numel, *row.addresses)
        for row, begin, count in zip(rows, begins, tiles, strict=True)
    ]
    table = on_device(np.array(columns, dtype=np.int64).T, device)
    # output_size: else the host would ask the device for it.
    program_rows = torch.repeat_interleave(table[2], output_size=sum(tiles))
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    entries = max(row.number for row in rows) + 1
    master_weights = storage.master_weights if dtype == torch.bfloat16 else None
    module = kernel()
    module.step[(sum(tiles),)](
        table,
        program_rows,
        len(rows),
        *(keys(storage, device) if storage.random else (table, table)),
        *scalars(c, bounds, wide, device, entries),
        PARAM=_triton(dtype),
        GRAD=_triton(first.grad_dtype),
        STATE_DTYPE=STATE_DTYPES[storage.state_dtype],
        MASTER=MASTER_WEIGHTS[master_weights],
        AMSGRAD=c.amsgrad,
        COUPLED=c.coupled_decay is not None,
        MAXIMIZE=c.maximize,
        ALIGNED=first.aligned,
        TILE=TILE,
        num_warps=WARPS,
        enable_fp_fusion=False,  # the same bits as in C, which does not contract either
    )


def on_device(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """A tensor with numbers of 64 bits that the host knows, without waiting for the device.

    While a CUDA graph is captured, they travel as arguments of captured kernels: a copy would be
    captured with its address on the host, and each replay would read what lies there by then.
    Otherwise they are copied from pinned memory, which torch does not hand out anew before the copy
    is done.
    """
    if device.type != "cuda":
        return torch.from_numpy(np.ascontiguousarray(values))
    if torch.cuda.is_current_stream_capturing():
        whole = torch.zeros(values.shape, dtype=torch.int64, device=device)
        bits = values.view(np.int64).ravel()
        places = np.flatnonzero(bits).tolist()
        cells = whole.view(-1).unbind()
        torch._foreach_add_([cells[place] for place in places], bits[places].tolist())
        return whole if values.dtype == np.int64 else whole.view(torch.float64)
    pageable = torch.from_numpy(np.ascontiguousarray(values))
    pinned = torch.empty_like(pageable, pin_memory=True).copy_(pageable)
    return pinned.to(device, non_blocking=True)


def keys(storage: Storage, device: torch.device) -> tuple[Tensor, Tensor]:
    """Keys of the random bits, int64 below 2³², one for each array: on the device if not yet."""
    first, second = zip(*storage.keys, strict=True)
    if isinstance(first[0], Tensor):
        return torch.stack(first), torch.stack(second)
    both = on_device(np.array([first, second], dtype=np.int64), device)
    return both[0], both[1]


def scalars(
    c: Coefficients, bounds: Bounds, dtype: torch.dtype, device: torch.device, entries: int
) -> list[float | Tensor]:
    """The scalars in the order of `triton_step.step`: floats, or tensors with an entry each.

    Args:
        c: floats or tensors of shape (n,).
        bounds: of the feasible box.
        dtype: that of the arithmetic. Arguments of kernels are float32: all are tensors for others.
        device: where the kernel runs.
        entries: that tensors must have at least.
    """
    weight: Scalar = 1 - c.beta1
    if isinstance(weight, Tensor):
        weight = torch.where(weight >= 0.5, -c.beta1, weight)
    elif weight >= 0.5:
        weight = -c.beta1
    values: list[Scalar] = [
        0.0 if c.coupled_decay is None else c.coupled_decay,
        1.0 if c.keep is None else c.keep,
        weight,
        c.beta2,
        1 - c.beta2,
        c.eps,
        c.outer_eps,
        c.adaptive,
        c.direction_scale,
        c.step_size,
        math.inf if c.clip_update is None else c.clip_update,
        *bounds,
    ]
    # Contiguous: a tensor of the options is one number, seen n times.
    found = [
        value.to(dtype).contiguous() if isinstance(value, Tensor) else float(value)
        for value in values
    ]
    if dtype == torch.float32:
        return found
    host = np.array([0.0 if isinstance(value, Tensor) else value for value in found])
    uploaded = on_device(np.repeat(host[:, None], entries, axis=1), device).unbind()
    return [
        value if isinstance(value, Tensor) else own
        for value, own in zip(found, uploaded, strict=True)
    ]


def _triton(dtype: torch.dtype) -> Any:
    return getattr(kernel().tl, str(dtype).removeprefix("torch."))
