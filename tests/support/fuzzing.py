"""Random groups of tensors, and the comparison of the kernel's step with torch's operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from adabelief import AdaBelief
from adabelief.feasible import Box

WIDE = (torch.float64, torch.float32)
NARROW = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Layout:
    """Where a tensor lies: in memory of its own, or in a piece of a buffer that others share.

    Args:
        shape: sizes.
        order: of the dimensions in memory.
        gap: elements from one to the next in memory.
        offset: where it begins.
        buffer: which memory; None is its own.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    gap: int
    offset: int
    buffer: int | None

    def view(self, buffers: dict[tuple[int | None, torch.dtype], Tensor], dtype: torch.dtype,
             seed: int) -> Tensor:  # fmt: skip
        """The tensor; `buffers` are made where they are missing."""
        strides, stride = [0] * len(self.shape), self.gap
        for dim in self.order:
            strides[dim] = stride
            stride *= max(self.shape[dim], 1)
        key = (self.buffer, dtype)
        if self.buffer is None or key not in buffers:
            memory = values(4000 if self.buffer is not None else self.offset + stride, seed, dtype)
            if self.buffer is not None:
                buffers[key] = memory
        else:
            memory = buffers[key]
        return memory.as_strided(self.shape, strides, self.offset)


def values(count: int, seed: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, generator=generator, dtype=torch.float64).to(dtype)


@st.composite
def layouts(draw: Callable[..., Any], shared: bool = True) -> Layout:
    shape = draw(
        st.one_of(
            st.lists(st.sampled_from([0, 1, 2, 3, 5, 8]), max_size=4).map(tuple),
            st.sampled_from([1, 15, 16, 17, 31, 255, 256, 257, 300, 513, 1030]).map(lambda n: (n,)),
        )
    )
    order = tuple(draw(st.permutations(range(len(shape)))))
    gap = draw(st.sampled_from([1, 1, 1, 1, 2]))
    offset = draw(st.sampled_from([0, 0, 1, 3, 16, 100]))
    buffer = draw(st.sampled_from([None, None, None, 0])) if shared else None
    return Layout(shape, order, gap, offset, buffer)


options = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([0.0, 1e-3, 0.1]),
        "betas": st.sampled_from([(0.9, 0.999), (0.3, 0.9)]),
        "eps": st.sampled_from([1e-8, 1e-2]),
        "weight_decay": st.sampled_from([0.0, 0.0, 0.1]),
        "decoupled_weight_decay": st.booleans(),
        "fixed_decay": st.just(False),
        "rectify": st.booleans(),
        "amsgrad": st.booleans(),
        "clip_update": st.sampled_from([None, None, 0.5]),
        "maximize": st.booleans(),
        "feasible_set": st.sampled_from([None, None, Box(-0.25, 0.5)]),
        "state_dtype": st.sampled_from([None, None, "bfloat16", "8bit"]),
        "master_weights": st.sampled_from([None, None, "split", "stochastic"]),
    }
)


@st.composite
def groups(draw: Callable[..., Any]) -> list[dict[str, Any]]:
    """Options, layouts of the parameters, their dtypes, and where their gradients lie."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        group = draw(options)
        dtypes = list(WIDE + NARROW)
        if group["state_dtype"] is not None:
            dtypes.remove(torch.float64)
            group["amsgrad"] &= group["state_dtype"] != "8bit"
        if group["master_weights"] is not None:
            dtypes.remove(torch.float16)
        members = st.tuples(
            layouts(),
            st.sampled_from(dtypes),
            st.sampled_from(["alike", "row-major", "reversed", "expanded", "rare", "never"]),
        )
        group["members"] = draw(st.lists(members, min_size=1, max_size=6))
        found.append(group)
    shared = [layout.buffer for group in found for layout, *_ in group["members"]].count(0)
    if shared > 1:
        # What overlaps is updated in an order that torch's own paths do not agree on; sums alone do
        # not depend on it, and those of half precision do: foreach widens all before it adds.
        for group in found:
            group.update(weight_decay=0.0, feasible_set=None, master_weights=None)
            group["members"] = [
                (replace(layout, buffer=None) if dtype in NARROW else layout, dtype, kind)
                for layout, dtype, kind in group["members"]
            ]
    return found


def gradient(param: Tensor, kind: str, seed: int, t: int) -> Tensor | None:
    if kind == "never" or (kind == "rare" and t == 1):
        return None
    grad = values(param.numel(), seed + 31 * t, param.dtype).reshape(param.shape)
    if kind == "alike":
        return torch.empty_like(param).copy_(grad)
    if kind == "reversed":
        order = list(range(param.ndim))[::-1]
        return grad.permute(order).contiguous().permute(order)
    if kind == "expanded":
        return torch.tensor(0.5 - t, dtype=param.dtype).expand(param.shape)
    return grad


def run(spec: list[dict[str, Any]], is_fused: bool) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    buffers: dict[tuple[int | None, torch.dtype], Tensor] = {}
    made, kinds = [], []
    for i, group in enumerate(spec):
        params = []
        for j, (layout, dtype, kind) in enumerate(group["members"]):
            params.append(layout.view(buffers, dtype, 10 * i + j).requires_grad_())
            kinds.append(kind)
        made.append({**{k: v for k, v in group.items() if k != "members"}, "params": params})
    optimizer = AdaBelief(made, fused=is_fused, foreach=None if is_fused else False)
    every = [param for group in optimizer.param_groups for param in group["params"]]
    for t in range(3):
        for i, (param, kind) in enumerate(zip(every, kinds, strict=True)):
            param.grad = gradient(param, kind, 1000 + i, t)
        kept = [None if param.grad is None else param.grad.clone() for param in every]
        optimizer.step()
        for param, grad in zip(every, kept, strict=True):
            if grad is not None:
                assert torch.equal(param.grad, grad), "a gradient was written to"
    states = [dict(optimizer.state[p]) if p in optimizer.state else {} for p in every]
    return [*every, *buffers.values()], states


def same(own: Tensor, other: Tensor, what: str) -> None:
    """Within what three steps of roundings may make of it; codes of 8 bits are neighbours."""
    if own.dtype in (torch.uint8, torch.int16):
        return  # read together with what they belong to, below
    own, other = own.detach(), other.detach()
    step = {torch.float64: 1e-9, torch.float32: 1e-4}.get(own.dtype, 2.0**-6)
    torch.testing.assert_close(own, other, rtol=step, atol=step / 10, msg=lambda m: f"{what}: {m}")


def compare(spec: list[dict[str, Any]]) -> None:
    (params, states), (others, expected) = run(spec, True), run(spec, False)
    for i, (own, other) in enumerate(zip(params, others, strict=True)):
        same(own, other, f"parameter or buffer {i}")
    for i, (state, there) in enumerate(zip(states, expected, strict=True)):
        assert state.keys() == there.keys()
        for key, own in state.items():
            assert own.dtype == there[key].dtype
            assert own.stride() == there[key].stride()
            same(own, there[key], f"{key} of parameter {i}")
        if "exp_avg_var_exponent" in state:
            for key in ("exp_avg_var", "exp_avg_var_exponent"):
                gap = (state[key].int() - there[key].int()).abs()
                assert gap.numel() == 0 or gap.max() <= (1 if key == "exp_avg_var" else 0), key
