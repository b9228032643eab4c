"""Which arrays the kernel takes, and that it leaves all others as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from adabelief.step import fused_cuda
from adabelief.step.scalars import coefficients
from cases import normal
from interpreted.arrays import Arrays, assert_same, group_of, quiet

pytestmark = quiet


def one_step(arrays: Arrays, grads: list[Tensor]) -> list[int]:
    return arrays.by(fused_cuda.update, grads, coefficients(group_of({"lr": 0.1}), 1))


def test_arrays_that_do_not_begin_at_sixteen_bytes_are_stepped_alike() -> None:
    random = torch.Generator().manual_seed(0)
    whole = normal(1100)(random, torch.float32)
    aligned, shifted = whole[3:1093].clone(), whole[3:1093]
    grads = [normal(1090)(random, torch.float32)]
    one, other = Arrays([aligned]), Arrays([shifted])
    assert one_step(one, grads) == []
    assert one_step(other, grads) == []
    assert other.params[0].data_ptr() % 16
    assert_same(one, other)
    assert torch.equal(whole[:3], normal(1100)(torch.Generator().manual_seed(0), torch.float32)[:3])


@pytest.mark.parametrize("state_dtype", [None, "8bit"])
def test_dense_layouts_are_stepped_in_the_order_of_memory(state_dtype: str | None) -> None:
    random = torch.Generator().manual_seed(0)
    rows = normal(2, 8, 5, 7)(random, torch.float32)
    grad = normal(2, 8, 5, 7)(random, torch.float32)
    last = [each.contiguous(memory_format=torch.channels_last) for each in (rows, grad)]
    one = Arrays([last[0]], state_dtype)
    flat = [each.permute(0, 2, 3, 1).contiguous().flatten() for each in last]
    other = Arrays([flat[0]], state_dtype)
    assert one_step(one, [last[1]]) == []
    assert one_step(other, [flat[1]]) == []
    assert torch.equal(one.params[0].permute(0, 2, 3, 1).flatten(), other.params[0])


class Own(Tensor):
    pass


REFUSED: Mapping[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "not dense": lambda p, g: (torch.zeros(4, 10)[:, ::2], torch.ones(4, 5)),
    "expanded": lambda p, g: (torch.zeros(1).expand(5), torch.ones(5)),
    "another layout": lambda p, g: (p, g.t().contiguous().t()),
    "another shape": lambda p, g: (p, torch.ones(5, 4)),
    "expanded gradient": lambda p, g: (p, torch.ones(()).expand(4, 5)),
    "sparse gradient": lambda p, g: (p, g.to_sparse()),
    "negated gradient": lambda p, g: (p, torch._neg_view(g)),
    "complex": lambda p, g: (p.to(torch.complex64), g.to(torch.complex64)),
    "wide gradient": lambda p, g: (p, g.double()),
    "narrow gradient": lambda p, g: (p.double(), g),
    "subclass": lambda p, g: (p.as_subclass(Own), g),
    "gradient of a subclass": lambda p, g: (p, g.as_subclass(Own)),
    "elsewhere": lambda p, g: (p.to("meta"), g.to("meta")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_kernel_cannot_take_is_left_untouched_and_the_rest_is_done(kind: str) -> None:
    param, grad = REFUSED[kind](torch.zeros(4, 5), torch.ones(4, 5))
    arrays = Arrays([torch.zeros(3), param, torch.zeros(3)])
    assert one_step(arrays, [torch.ones(3), grad, torch.ones(3)]) == [1]
    assert arrays.params[0].all()
    assert arrays.params[2].all()
    if param.device.type != "meta":
        assert not param.any()
        assert not arrays.exp_avgs[1].any()


def test_arrays_that_are_not_dense_are_left_untouched_also_if_all_lie_alike() -> None:
    arrays = Arrays([torch.zeros(4, 10)])
    for name in ("params", "exp_avgs", "exp_avg_vars", "most"):
        setattr(arrays, name, [each[:, ::2] for each in getattr(arrays, name)])
    assert one_step(arrays, [torch.ones(4, 10)[:, ::2]]) == [0]
    assert not arrays.params[0].any()


STATES: Mapping[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "m of another dtype": ("exp_avgs", lambda x: x.double()),
    "m of another shape": ("exp_avgs", lambda x: x[:-1]),
    "s of another dtype": ("exp_avg_vars", lambda x: x.float()),
    "short exponents": ("exponents", lambda x: x[:-1]),
    "exponents of another dtype": ("exponents", lambda x: x.int()),
    "master bits of another dtype": ("master_bits", lambda x: x.int()),
}


@pytest.mark.parametrize("kind", STATES)
def test_state_that_is_not_as_it_says_is_left_untouched(kind: str) -> None:
    arrays = Arrays([torch.zeros(300, dtype=torch.bfloat16)] * 1, "8bit", "split")
    name, change = STATES[kind]
    setattr(arrays, name, [change(each) for each in getattr(arrays, name)])
    assert one_step(arrays, [torch.ones(300, dtype=torch.bfloat16)]) == [0]
    assert not arrays.params[0].any()


def shared(kind: str) -> tuple[Arrays, list[Tensor]]:
    arrays = Arrays([torch.zeros(4), torch.zeros(4)])
    grads = [torch.ones(4), torch.ones(4)]
    whole = torch.zeros(7)
    if kind == "the same parameter twice":
        arrays.params[1] = arrays.params[0]
    elif kind == "parameters that overlap":
        arrays.params[:] = [whole[:4], whole[3:]]
    elif kind == "a gradient that is state":
        grads[1] = arrays.exp_avgs[0]
    elif kind == "state that is shared":
        arrays.exp_avg_vars[1] = arrays.exp_avg_vars[0]
    elif kind == "a gradient that begins within another row's parameter":
        arrays.params[1], grads[0] = whole[:4], whole[3:]
    elif kind == "a gradient that ends within another row's parameter":
        arrays.params[1], grads[0] = whole[3:], whole[:4]
    return arrays, grads


@pytest.mark.parametrize(
    "kind",
    [
        "the same parameter twice",
        "parameters that overlap",
        "a gradient that is state",
        "state that is shared",
        "a gradient that begins within another row's parameter",
        "a gradient that ends within another row's parameter",
    ],
)
def test_nothing_is_done_where_arrays_share_memory(kind: str) -> None:
    arrays, grads = shared(kind)
    assert one_step(arrays, grads) == [0, 1]
    assert not any(param.any() for param in arrays.params)


def test_two_parameters_may_share_a_gradient_and_neighbours_may_touch() -> None:
    whole = torch.zeros(8)
    arrays = Arrays([whole[:4], whole[4:]])
    assert one_step(arrays, [torch.ones(4)] * 2) == []
    assert whole.all()


def test_empty_tensors_are_done() -> None:
    arrays = Arrays([torch.zeros(0), torch.zeros(3, 0), torch.zeros(2)])
    assert one_step(arrays, [torch.ones_like(param) for param in arrays.params]) == []
    assert arrays.params[2].all()
    assert one_step(Arrays([torch.zeros(0)]), [torch.zeros(0)]) == []
    assert one_step(Arrays([]), []) == []


GUARD = 0x5A


def guarded(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """A copy of a vector, and the bytes behind it."""
    size = tensor.numel() * tensor.itemsize
    memory = torch.full((size + 64,), GUARD, dtype=torch.uint8)
    copy = memory[:size].view(tensor.dtype)
    return copy.copy_(tensor), memory[size:]


@pytest.mark.parametrize("state_dtype", [None, "bfloat16", "8bit"])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 1023, 1024, 1280])
def test_nothing_is_written_beyond_the_end(size: int, state_dtype: str | None) -> None:
    arrays = Arrays([torch.zeros(size, dtype=torch.bfloat16)], state_dtype, "split")
    behind = []
    for name in ("params", "exp_avgs", "exp_avg_vars", "most", "exponents", "master_bits"):
        pairs = [guarded(each) for each in getattr(arrays, name)]
        setattr(arrays, name, [copy for copy, _ in pairs])
        behind += [rest for _, rest in pairs]
    amsgrad = state_dtype != "8bit"
    c = coefficients(group_of({"lr": 0.1, "amsgrad": amsgrad}), 1)
    grads = [torch.ones(size, dtype=torch.bfloat16)]
    assert arrays.by(fused_cuda.update, grads, c) == []
    assert arrays.params[0].all()
    assert len(behind) == 5
    assert all((rest == GUARD).all() for rest in behind)


class Mode(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operation, and changes none."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_what_a_mode_watches_is_left_to_operations_that_it_sees() -> None:
    arrays = Arrays([torch.zeros(2)])
    grads = [torch.ones(2)]
    with Mode():
        assert one_step(arrays, grads) == [0]
    assert not arrays.params[0].any()


def test_autograd_is_told() -> None:
    param = torch.zeros(2, requires_grad=True)
    before = param._version
    assert one_step(Arrays([param]), [torch.ones(2)]) == []
    assert param._version == before + 1


def test_amsgrad_is_not_kept_in_eight_bits() -> None:
    arrays = Arrays([torch.zeros(2)], "8bit")
    c = coefficients(group_of({"amsgrad": True}), 1)
    arrays.most = [torch.zeros(2, dtype=torch.bfloat16)]
    assert arrays.by(fused_cuda.update, [torch.ones(2)], c) == [0]


def test_a_process_is_warned_once() -> None:
    fused_cuda._warn.cache_clear()
    with pytest.warns(fused_cuda.ExperimentalWarning, match="have not run it on a GPU"):
        one_step(Arrays([torch.zeros(2)]), [torch.ones(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_step(Arrays([torch.zeros(2)]), [torch.ones(2)])
