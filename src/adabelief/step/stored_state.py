"""How arrays are kept between steps, where that is not how they are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from adabelief.low_precision import bfloat16, e5m3
from adabelief.low_precision.random_bits import Key, high, low, random_bits
from adabelief.step.projection import Projection
from adabelief.step.scalars import Coefficients


@dataclass(frozen=True)
class Storage:
    """The formats of one update's arrays; lists have an entry for each array, or are empty.

    Args:
        state_dtype: None, m and s as they are computed; "bfloat16"; "8bit", m in bfloat16 and s
            in E5M3.
        master_weights: of bfloat16 parameters: None, rounded to nearest; "stochastic"; "split",
            with sixteen more bits in `master_bits`.
        exponents: of the blocks of s with "8bit", uint8 of shape (blocks,).
        master_bits: int16, shaped as the parameters, with "split".
        keys: of the random bits; empty where nothing is rounded at random.
    """

    state_dtype: str | None = None
    master_weights: str | None = None
    exponents: Sequence[Tensor] = field(default=())
    master_bits: Sequence[Tensor] = field(default=())
    keys: Sequence[Key] = field(default=())

    def __bool__(self) -> bool:
        return self.state_dtype is not None or self.master_weights is not None

    @property
    def random(self) -> bool:
        """Whether something is rounded at random."""
        return self.state_dtype is not None or self.master_weights == "stochastic"

    def of(self, index: int) -> Storage:
        """The part that belongs to one array."""
        here = slice(index, index + 1)
        lists = self.exponents[here], self.master_bits[here]
        return Storage(self.state_dtype, self.master_weights, *lists, self.keys[here])


AS_COMPUTED = Storage()


def update_stored(
    rule: Callable[..., None],
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_vars: list[Tensor],
    max_exp_avg_vars: list[Tensor],
    c: Coefficients,
    projections: Sequence[Projection],
    storage: Storage,
) -> None:
    """Widen to float32, do one step by the update rule of a path, and store what came out.

    The rule sees the new m and s before they are rounded. Arguments as in
    `step.single_tensor.update`.
    """
    wide_params = list(params)
    if storage.master_weights == "split":
        wide_params = list(map(bfloat16.join, params, storage.master_bits))
    elif storage.master_weights is not None:
        wide_params = [param.float() for param in params]
    wide = [exp_avg.float() for exp_avg in exp_avgs]
    if storage.state_dtype == "8bit":
        wide_vars = list(map(e5m3.decode, exp_avg_vars, storage.exponents))
    else:
        wide_vars = [exp_avg_var.float() for exp_avg_var in exp_avg_vars]
    wide_max = [each.float() for each in max_exp_avg_vars]
    rule(wide_params, grads, wide, wide_vars, wide_max, c, projections)
    for i, param in enumerate(params):
        random = random_bits(exp_avg_vars[i], storage.keys[i]) if storage.random else None
        if storage.state_dtype is not None and random is not None:
            exp_avgs[i].copy_(bfloat16.nearest(wide[i]))
            if storage.state_dtype == "8bit":
                codes, exponents = e5m3.encode(wide_vars[i], high(random))
                exp_avg_vars[i].copy_(codes)
                storage.exponents[i].copy_(exponents)
            else:
                exp_avg_vars[i].copy_(bfloat16.stochastic(wide_vars[i], high(random)))
            if max_exp_avg_vars:
                max_exp_avg_vars[i].copy_(bfloat16.nearest(wide_max[i]))
        if storage.master_weights == "split":
            nearest, rest = bfloat16.split(wide_params[i])
            param.copy_(nearest)
            storage.master_bits[i].copy_(rest)
        elif storage.master_weights is not None and random is not None:
            param.copy_(bfloat16.stochastic(wide_params[i], low(random)))
