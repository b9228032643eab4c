"""What the sets refuse when they are made."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

Dim = int | tuple[int, ...] | None


def real(name: str, value: object, *, positive: bool = False) -> float:
    """`value` as a float, if it is a finite number, and above 0 where that is asked.

    Raises:
        TypeError: it is no real number.
        ValueError: it is out of range.
    """
    allowed = "(0, inf)" if positive else "(-inf, inf)"
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"{name} must be a number in {allowed}, got {value!r}"
        raise TypeError(msg)
    number = float(value)
    if not math.isfinite(number) or (positive and number <= 0):
        msg = f"{name} must be in {allowed}, got {value!r}"
        raise ValueError(msg)
    return number


def number_or_tensor(name: str, value: object) -> float | Tensor:
    """A tensor as it is, a number as a float.

    Raises:
        TypeError: it is neither, or a tensor that is not of real floating-point numbers.
        ValueError: it is NaN, or has NaN among its elements.
    """
    if isinstance(value, Tensor):
        if not value.is_floating_point():
            msg = f"{name} must be a number or a floating-point tensor, got {value.dtype}"
            raise TypeError(msg)
        if bool(value.isnan().any()):
            msg = f"{name} must not have NaN among its elements, got {value!r}"
            raise ValueError(msg)
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"{name} must be a number or a floating-point tensor, got {value!r}"
        raise TypeError(msg)
    if math.isnan(value):
        msg = f"{name} must be a number or a floating-point tensor, got nan"
        raise ValueError(msg)
    return float(value)


def finite(name: str, value: object) -> float | Tensor:
    """As `number_or_tensor`, without infinities.

    Raises:
        TypeError: as there.
        ValueError: it is NaN or infinite, or one of its elements is.
    """
    checked = number_or_tensor(name, value)
    if not bool(torch.as_tensor(checked).isfinite().all()):
        msg = f"{name} must be finite, got {value!r}"
        raise ValueError(msg)
    return checked


def dims(dim: object) -> Dim:
    """An int, a tuple of different ints, or None, as it is.

    Raises:
        TypeError: it is something else.
        ValueError: the tuple is empty or names a dimension twice.
    """
    if dim is None or (isinstance(dim, int) and not isinstance(dim, bool)):
        return dim
    if not isinstance(dim, tuple) or any(
        isinstance(one, bool) or not isinstance(one, int) for one in dim
    ):
        msg = f"dim must be None, an int or a tuple of ints, got {dim!r}"
        raise TypeError(msg)
    if not dim or len(set(dim)) < len(dim):
        msg = f"dim must name one dimension or several different ones, got {dim!r}"
        raise ValueError(msg)
    return dim
