"""What a kernel on a device may be told of a parameter's arrays: checked, then addresses only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from adabelief.kernels.abi import NARROW, PLAIN_TYPES, Arrays
from adabelief.low_precision.e5m3 import blocks
from adabelief.low_precision.memory_layout import is_dense

ALIGNMENT = 16  # bytes that one load may bring

# Places in a row's table. The kernel has one column for the maximum of s and for the exponents of
# an 8-bit s: no options ask for both.
GRAD, EXTRA = 1, 4


class Row(NamedTuple):
    """One parameter's arrays.

    Args:
        number: in the lists of arrays.
        param: the parameter.
        grad_dtype: of its gradient.
        numel: its elements.
        addresses: of parameter, gradient, m, s, the maximum of s or its exponents, and the master
            bits; 0 where there is none, or no element.
        sizes: their bytes.
        aligned: whether sixteen bytes can be loaded at once.
    """

    number: int
    param: Tensor
    grad_dtype: torch.dtype
    numel: int
    addresses: Sequence[int]
    sizes: Sequence[int]
    aligned: bool


def check(  # noqa: PLR0911, each is a reason
    number: int, arrays: Arrays, state_dtype: str | None, device_type: str
) -> Row | None:
    """The row of one parameter, None if a kernel cannot take it.

    Args:
        number: in the lists of arrays.
        arrays: the parameter's row.
        state_dtype: None, "bfloat16" or "8bit".
        device_type: where kernels run.
    """
    param, grad = arrays[:2]
    dtypes = _dtypes(param, grad, state_dtype)
    if dtypes is None or param.device.type != device_type:
        return None
    if grad.layout is not torch.strided or grad.is_neg():
        return None
    if not (param.is_contiguous() or is_dense(param)):
        return None
    addresses, sizes, together, numel = [], [], 0, param.numel()
    *four, most, exponents, master_bits = arrays
    columns = (*four, exponents if most is None else most, master_bits)
    for place, (array, dtype) in enumerate(zip(columns, dtypes, strict=True)):
        if array is None:
            addresses.append(0)
            sizes.append(0)
            continue
        in_blocks = place == EXTRA and state_dtype == "8bit"
        fits = _is_vector(array, blocks(numel)) if in_blocks else _lies_as(array, param)
        if not fits or array.dtype != dtype or array.get_device() != param.get_device():
            return None
        try:
            address = array.data_ptr()
        except RuntimeError:  # there is no memory, as with functorch's wrappers
            return None
        if numel and not address:  # a storage that was resized to 0
            return None
        addresses.append(address)
        sizes.append(array.numel() * dtype.itemsize)
        together |= address
    return Row(number, param, grad.dtype, numel, addresses, sizes, together % ALIGNMENT == 0)


def _dtypes(param: Tensor, grad: Tensor, state_dtype: str | None) -> Sequence[torch.dtype] | None:
    """What each of the arrays must be, None if the kernel has no such arithmetic."""
    if param.dtype == torch.float64:
        return None if state_dtype is not None else (torch.float64,) * 5 + (torch.int16,)
    if param.dtype not in NARROW or grad.dtype not in NARROW:
        return None
    first = torch.float32 if state_dtype is None else torch.bfloat16
    second = torch.uint8 if state_dtype == "8bit" else first
    return param.dtype, grad.dtype, first, second, second, torch.int16


def _is_vector(tensor: Tensor, numel: int) -> bool:
    return type(tensor) in PLAIN_TYPES and tensor.shape == (numel,) and tensor.is_contiguous()


def _lies_as(tensor: Tensor, param: Tensor) -> bool:
    """Whether a tensor is plain and laid out as its parameter."""
    if type(tensor) not in PLAIN_TYPES or tensor.shape != param.shape:
        return False
    if tensor.stride() == param.stride() or not param.numel():
        return True
    strides = zip(tensor.shape, tensor.stride(), param.stride(), strict=True)
    return all(a == b for size, a, b in strides if size != 1)


def overlapping(rows: Sequence[Row]) -> bool:
    """Whether an array that is written shares memory with another: programs would race."""
    begin = np.array([row.addresses for row in rows], dtype=np.int64).reshape(-1, 6)
    end = begin + np.array([row.sizes for row in rows], dtype=np.int64).reshape(-1, 6)
    written = np.broadcast_to(np.arange(6) != GRAD, begin.shape)
    there = end > begin
    order = np.argsort(begin[there], kind="stable")
    begin, end, written = (each[there][order] for each in (begin, end, written))
    # The farthest ends of those before: of the written ones, of all.
    farthest_written = np.maximum.accumulate(np.where(written, end, 0))[:-1]
    farthest = np.maximum.accumulate(end)[:-1]
    shared = np.where(written[1:], begin[1:] < farthest, begin[1:] < farthest_written)
    return bool(shared.any())
