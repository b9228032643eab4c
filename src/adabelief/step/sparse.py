"""Algorithm 2 for sparse gradients, lazily: only the rows that a gradient has are looked at.

As in torch.optim.SparseAdam, m and s of the other rows neither decay nor get their ε, whereas t
counts all steps. Elementwise. Never writes to `grads`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adabelief.step import single_tensor
from adabelief.step.projection import Projection
from adabelief.step.scalars import Coefficients


def update(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
    projections: Sequence[Projection] = (),
) -> None:
    """Do one step in place on the touched rows; arguments as in `step.single_tensor.update`.

    Args:
        params: strided tensors, possibly complex, as is their state.
        grads: sparse COO tensors of the same shapes; repeated indices are summed first.
        exp_avgs: as there.
        exp_avg_vars: as there.
        max_exp_avg_vars: as there.
        c: as there.
        projections: empty; a projection would need the other rows.
    """
    del projections
    for i, grad in enumerate(grads):
        touched = grad.coalesce()
        rows = tuple(touched.indices())
        arrays = [params[i], exp_avgs[i], exp_avg_vars[i], *max_exp_avg_vars[i : i + 1]]
        parts = [array[rows] for array in arrays]
        param, exp_avg, exp_avg_var, *max_exp_avg_var = ([real(part)] for part in parts)
        most = max_exp_avg_var[0] if max_exp_avg_var else []
        single_tensor.update(param, [real(touched.values())], exp_avg, exp_avg_var, most, c)
        for array, part in zip(arrays, parts, strict=True):
            array[rows] = part


def real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of reals, on which the algorithm is elementwise."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
