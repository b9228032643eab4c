"""What the tests here step: arrays in every format, and the ways to step them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief.hyperparameters import Hyperparameters
from adabelief.low_precision.e5m3 import blocks
from adabelief.low_precision.random_bits import key
from adabelief.step import fused_cuda, single_tensor
from adabelief.step.scalars import Coefficients
from adabelief.step.stored_state import Storage, update_stored
from cases import as_param, normal

fused_cuda.DEVICE = "cpu"  # in this process

# NumPy, which the interpreter computes with, remarks on what is not finite.
quiet = pytest.mark.filterwarnings(
    "ignore:.*encountered in:RuntimeWarning", "ignore:fused=True on CUDA is experimental"
)

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
NARROW = DTYPES[1:]
# (parameters, state_dtype, master)
FORMATS = [
    (dtype, state_dtype, master_weights)
    for dtype in NARROW
    for state_dtype in (None, "bfloat16", "8bit")
    for master_weights in ((None, "split", "stochastic") if dtype == torch.bfloat16 else (None,))
]


WORDS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def group_of(options: Mapping[str, Any]) -> dict[str, Any]:
    checked = Hyperparameters(**options)
    return {each.name: getattr(checked, each.name) for each in fields(checked)}


@dataclass
class Arrays:
    """What an update takes, and the steps it has done."""

    params: list[Tensor]
    state_dtype: str | None = None
    master_weights: str | None = None
    exp_avgs: list[Tensor] = field(default_factory=list)
    exp_avg_vars: list[Tensor] = field(default_factory=list)
    most: list[Tensor] = field(default_factory=list)
    exponents: list[Tensor] = field(default_factory=list)
    master_bits: list[Tensor] = field(default_factory=list)
    t: int = 0

    def __post_init__(self) -> None:
        for param in self.params:
            wide = torch.float64 if param.dtype == torch.float64 else torch.float32
            first = torch.bfloat16 if self.state_dtype else wide
            second = torch.uint8 if self.state_dtype == "8bit" else first
            self.exp_avgs.append(torch.zeros_like(param, dtype=first))
            self.exp_avg_vars.append(torch.zeros_like(param, dtype=second))
            if self.state_dtype == "8bit":
                count = blocks(param.numel())
                self.exponents.append(torch.zeros(count, dtype=torch.uint8))
            else:
                self.most.append(torch.zeros_like(param, dtype=first))
            if self.master_weights == "split":
                self.master_bits.append(torch.zeros_like(param, dtype=torch.int16))

    def copy(self) -> Arrays:
        made = Arrays([], self.state_dtype, self.master_weights, t=self.t)
        for name in ("params", "exp_avgs", "exp_avg_vars", "most", "exponents", "master_bits"):
            setattr(made, name, [each.clone() for each in getattr(self, name)])
        return made

    def storage(self) -> Storage:
        keys = [key(n, self.t) for n in range(len(self.params))]
        formats = self.state_dtype, self.master_weights
        found = Storage(*formats, self.exponents, self.master_bits, keys)
        return found if found.random else replace(found, keys=())

    def lists(self, grads: list[Tensor], c: Coefficients) -> tuple[Any, ...]:
        most = self.most if c.amsgrad else []
        return self.params, grads, self.exp_avgs, self.exp_avg_vars, most, c

    def by(self, update: Any, grads: list[Tensor], c: Coefficients, **settings: Any) -> list[int]:
        self.t += 1
        return update(*self.lists(grads, c), storage=self.storage(), **settings)

    def by_loop(self, grads: list[Tensor], c: Coefficients) -> None:
        self.t += 1
        params, _, first, second, most, _ = self.lists(grads, c)
        update_stored(
            single_tensor.update, params, grads, first, second, most, c, (), self.storage()
        )

    def bits(self) -> list[Tensor]:
        """Everything that is stored; NaN by one bit pattern."""
        lists = [self.params, self.exp_avgs, self.exp_avg_vars, self.most, self.master_bits]
        whole = [each for own in [*lists, self.exponents] for each in own]
        return [
            torch.where(each.isnan(), torch.nan, each).view(WORDS[each.itemsize])
            if each.is_floating_point()
            else each
            for each in whole
        ]


def assert_same(one: Arrays, other: Arrays) -> None:
    for a, b in zip(one.bits(), other.bits(), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b), f"{int((a != b).sum())} of {a.numel()} differ, {a.dtype}"


def gradients(arrays: Arrays, dtype: torch.dtype, random: torch.Generator) -> list[Tensor]:
    """Of many magnitudes within each block."""
    found = []
    for param in arrays.params:
        noise = normal(*param.shape)(random, torch.float32)
        scale = torch.exp2(torch.randint(-20, 4, param.shape, generator=random).float())
        found.append(as_param((noise * scale).to(dtype), param.to(dtype)))
    return found
