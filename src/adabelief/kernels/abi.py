"""What every kernel is told, each defined once: dtypes, formats of state, bounds, arrays of a row.

The numbers are those of kernels/csrc/row.h. Nothing here knows options or groups.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
from torch import Tensor, nn

# Other types may be subclasses of tensors with rules of their own.
PLAIN_TYPES = (Tensor, nn.Parameter)

# Dtypes of parameters whose arithmetic is in float32.
HALF = (torch.float16, torch.bfloat16)
# Dtypes of parameters whose state may be kept in less than float32.
NARROW = (torch.float32, torch.bfloat16, torch.float16)

# How m and s are kept, by the values of the option state_dtype.
STATE_DTYPES: dict[str | torch.dtype | None, int] = {
    None: 0,
    "bfloat16": 1,
    torch.bfloat16: 1,
    "8bit": 2,
}
# How bfloat16 parameters are kept, by the values of the option master_weights.
MASTER_WEIGHTS: dict[str | None, int] = {None: 0, "split": 1, "stochastic": 2}

# The lower and the upper bound of every element of a parameter.
Bounds: TypeAlias = tuple[float, float]
NO_BOUNDS: Bounds = (-math.inf, math.inf)

# One parameter's row: parameter, gradient, m, s, maximum of s, exponents of an 8-bit s, master
# bits. An array that the options do not ask for is None.
Arrays: TypeAlias = tuple[
    Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None
]
