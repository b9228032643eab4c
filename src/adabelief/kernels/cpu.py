"""The C kernel's front: whether it is there, and why not."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

if TYPE_CHECKING:
    from adabelief.kernels._cpu import Batch


@cache
def unavailable() -> str | None:
    """None where the kernel can be used, else the reason why not."""
    try:
        from adabelief.kernels import _cpu  # noqa: PLC0415, it may not have been built
    except ImportError as error:
        return (
            "the C kernel was not built when adabelief was installed (no C compiler?), or cannot "
            f"be loaded ({error}); with a compiler: "
            "pip install --force-reinstall --no-cache-dir --no-deps adabelief"
        )
    exchange = getattr(Tensor, "__dlpack_c_exchange_api__", None)
    parallel_for = _torch_parallel_for()
    if exchange is None or parallel_for is None:
        return (
            f"torch {torch.__version__} lacks what the C kernel needs; torch 2.10 or later has it"
        )
    try:
        _cpu.connect(Tensor, nn.Parameter, exchange, parallel_for)
    except RuntimeError as error:
        return str(error)
    return None


def _torch_parallel_for() -> int | None:
    """The address of torch's own parallel loop, a C function of its stable interface."""
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll"):
        if (folder / name).exists():
            function = getattr(ctypes.CDLL(str(folder / name)), "torch_parallel_for", None)
            return None if function is None else ctypes.cast(function, ctypes.c_void_p).value
    return None


def batch() -> Batch:
    """A new, empty batch.

    Raises:
        RuntimeError: the kernel is not available; the message has the reason.
    """
    reason = unavailable()
    if reason is not None:
        raise RuntimeError(reason)
    from adabelief.kernels._cpu import Batch  # noqa: PLC0415, it may not have been built

    return Batch()


def mark_changed(params: Sequence[Tensor]) -> None:
    """Tell autograd that the kernel has written to parameters."""
    try:
        increment_version(params)
    except RuntimeError:  # made in inference mode: those have no version
        increment_version([param for param in params if not param.is_inference()])


def traffic(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
) -> None:
    """Move as many bytes as a step with hardly any arithmetic: what memory allows, for benchmarks.

    p += 0 · g, m += 0 · g, s += 0, float32, with the same prefetching and the same threads.

    Raises:
        ValueError: a tensor is not float32 on the CPU, dense and laid out as its parameter.
    """
    rows = batch()
    for arrays in zip(params, grads, exp_avgs, exp_avg_vars, strict=True):
        if not rows.append((*arrays, None, None, None), False, 0, 0, 0, 0, 0):
            msg = "traffic takes dense float32 tensors on the CPU, all laid out alike"
            raise ValueError(msg)
    rows.run([(0.0,) * 14 + (False, False, False)] * bool(params), "traffic")
