"""Algorithm 2 as one kernel: every array is read and written once.

On the CPU the C kernel of kernels/csrc. Elementwise; of the feasible sets only boxes. Never writes
to `grads`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from adabelief.kernels import cpu
from adabelief.kernels.abi import MASTER_WEIGHTS, STATE_DTYPES, Bounds
from adabelief.step.scalars import Coefficients
from adabelief.step.stored_state import AS_COMPUTED, Storage


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
        options = (
            c.amsgrad,
            STATE_DTYPES[storage.state_dtype],
            MASTER_WEIGHTS[storage.master_weights],
        )
        if not rows.append((*arrays, most, extra[0], extra[1]), *options, *key, 0):
            rest.append(i)
    taken = rows.params()
    if not taken:
        return rest
    if not rows.run([c.packed(bounds)], ""):
        return list(range(len(params)))
    cpu.mark_changed(taken)
    return rest
