"""Algorithm 2 as one kernel: every array is read and written once.

On the CPU the C kernel of kernels/csrc. Elementwise; of the feasible sets only boxes. Never writes
to `grads`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import increment_version

from adabelief.kernels import cpu
from adabelief.step.scalars import Coefficients
from adabelief.step.stored_state import PLAIN, Storage

# As in kernels/csrc/row.h.
STATE_DTYPES = {None: 0, "bfloat16": 1, "8bit": 2}
MASTERS = {None: 0, "split": 1, "stochastic": 2}

Bounds = tuple[float, float]
NO_BOUNDS: Bounds = (-math.inf, math.inf)


def update(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
    *,
    bounds: Bounds | None = None,
    storage: Storage = PLAIN,
) -> list[int]:
    """Do one step in place of the arrays that the kernel can take.

    Args:
        params: float64, float32, bfloat16 or float16.
        grads: as `params`; any of the three narrow dtypes for any narrow parameter.
        exp_avgs: as `storage` says.
        exp_avg_vars: as `storage` says.
        max_exp_avg_vars: as `exp_avg_vars` with amsgrad, else empty.
        c: the scalars of this step, floats.
        bounds: of the feasible box.
        storage: the formats of the arrays.

    Returns:
        Indices of the arrays that were not touched: not plain, not dense, laid out otherwise than
        their parameter, or (then all) sharing memory with others.
    """
    rows = cpu.batch()
    rest = []
    for i, arrays in enumerate(zip(params, grads, exp_avgs, exp_avg_vars, strict=True)):
        own = storage.of(i)
        extra = [(each[0] if each else None) for each in (own.exponents, own.master_bits)]
        most = max_exp_avg_vars[i] if c.amsgrad else None
        key: tuple[Any, Any] = own.keys[0] if own.keys else (0, 0)
        options = (c.amsgrad, STATE_DTYPES[storage.state_dtype], MASTERS[storage.master_weights])
        if not rows.append((*arrays, most, extra[0], extra[1]), *options, *key, 0):
            rest.append(i)
    taken = rows.params()
    if not taken:
        return rest
    if not rows.run([scalars(c, bounds)], ""):
        return list(range(len(params)))
    changed(taken)
    return rest


def scalars(
    c: Coefficients, bounds: Bounds | None = None, grad_scale: float = 1.0
) -> tuple[float | bool, ...]:
    """The scalars in the order of `parse_scalars` in kernels/csrc/batch.c.

    Args:
        c: floats.
        bounds: of the feasible box.
        grad_scale: what the gradients were multiplied with (torch.amp.GradScaler).
    """
    low, high = bounds or NO_BOUNDS
    coupled, keep, clip = c.coupled_decay, c.keep, c.clip_update
    return (
        (-1.0 if c.maximize else 1.0) / grad_scale,
        0.0 if coupled is None else coupled,
        1.0 if keep is None else keep,
        c.beta1,
        1 - c.beta1,
        c.beta2,
        1 - c.beta2,
        c.eps,
        c.outer_eps,
        c.direction_scale,
        c.step_size,
        math.inf if clip is None else clip,
        low,
        high,
        coupled is not None,
        c.amsgrad,
        c.adaptive is True,
    )


def changed(params: Sequence[Tensor]) -> None:
    """Tell autograd that parameters were written to behind its back."""
    try:
        increment_version(params)
    except RuntimeError:  # made in inference mode: those have no version
        increment_version([param for param in params if not param.is_inference()])
