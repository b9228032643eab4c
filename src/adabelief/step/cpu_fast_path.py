"""The fast path: all parameters of all groups by one call of the C kernel, gathered in C.

Nothing is kept from step to step that could become wrong: every pointer, size, stride and dtype is
looked at anew (docs/decisions.md says what that costs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from adabelief.feasible.box import bounds
from adabelief.kernels import cpu
from adabelief.kernels.abi import MASTER_WEIGHTS, STATE_DTYPES
from adabelief.step import paths
from adabelief.step.scalars import coefficients

if TYPE_CHECKING:
    from adabelief.kernels._cpu import Batch


class FastStep:
    """One step of the parameters that the kernel can take as they are.

    Args:
        states: the optimizer's state.
        grad_scale: what the gradients were multiplied with.
    """

    def __init__(self, states: dict[Tensor, Any], grad_scale: float) -> None:
        self.states, self.grad_scale = states, grad_scale
        self.rows: Batch | None = None
        self.scalars: list[tuple[float | bool, ...]] = []

    def gather(self, group: Mapping[str, Any], params: list[Tensor], first: int) -> Sequence[int]:
        """Take those of `params` that have gradients; nothing is changed yet.

        Args:
            group: the options.
            params: some of its parameters, which follow each other in the optimizer.
            first: number of the first of them.

        Returns:
            Indices of the parameters that are left to the general path.
        """
        if not params or params[0].device.type != "cpu" or not paths.wants_kernel(group):
            return range(len(params))
        feasible_set = group["feasible_set"]
        box = None if feasible_set is None else bounds(feasible_set)
        if (feasible_set is not None and box is None) or not paths.cpu_kernel_applies(group):
            return range(len(params))
        if self.rows is None:
            self.rows = cpu.batch()
        formats = (STATE_DTYPES[group["state_dtype"]], MASTER_WEIGHTS[group["master_weights"]])
        times, left = self.rows.gather(params, self.states, first, group["amsgrad"], *formats)
        self.scalars += [coefficients(group, t).packed(box, self.grad_scale) for t in times]
        return left

    def run(self) -> bool:
        """Do the step; False, and nothing has changed, if some of the arrays share memory."""
        if not self.scalars or self.rows is None:
            return True
        if not self.rows.run(self.scalars, ""):
            return False
        cpu.mark_changed(self.rows.params())
        return True
