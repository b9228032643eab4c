"""What the C kernel meets beside plain tensors: it is right, or leaves it to others."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

from adabelief import AdaBelief
from adabelief.feasible import Box, L2Ball, NonNegative
from adabelief.kernels import cpu
from oracle import Oracle

REASON = cpu.unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")

BIG = 300_000  # several threads' shares, and a remainder in every block and vector


def random(*size: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, generator=generator, dtype=torch.float64).to(dtype)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The parameters that the kernel changed."""
    found: list[Tensor] = []
    real = cpu.mark_changed

    def changed(params: Any) -> None:
        found.extend(params)
        real(params)

    monkeypatch.setattr(cpu, "mark_changed", changed)
    return found


def is_in(tensor: Tensor, tensors: list[Tensor]) -> bool:
    return any(one is tensor for one in tensors)


def steps(
    optimizer: AdaBelief, grads: Callable[[int], list[Tensor | None]], count: int = 3
) -> None:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for t in range(count):
        for param, grad in zip(params, grads(t), strict=True):
            param.grad = grad
        optimizer.step()


def follows(
    params: list[Tensor],
    grads: Callable[[int], list[Tensor]],
    count: int = 3,
    **options: Any,
) -> AdaBelief:
    """Step and compare with the reference every time."""
    optimizer = AdaBelief(params, fused=True, **options)
    oracle = Oracle([param.detach() for param in params])
    for t in range(count):
        own = grads(t)
        kept = [grad.clone() for grad in own]
        for param, grad in zip(params, own, strict=True):
            param.grad = grad
        optimizer.step()
        oracle.expect(kept, params, [optimizer.state[param] for param in params], options)
        for param, grad, old in zip(params, own, kept, strict=True):
            assert param.grad is grad, "the gradient was replaced"
            assert torch.equal(grad, old), "the gradient was written to"
    return optimizer


# --- memory layouts -------------------------------------------------------------------------


def conv() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 5, 3))


@pytest.mark.parametrize("gradients", ["of the parameters", "row-major", "channels last"])
@pytest.mark.parametrize("when", ["before the first step", "after it"])
def test_channels_last_models_equal_the_reference(
    when: str, gradients: str, taken: list[Tensor]
) -> None:
    model = conv()
    params = list(model.parameters())
    optimizer, oracle = AdaBelief(params, fused=True), Oracle(params)
    for t in range(4):
        if t == (0 if when == "before the first step" else 1):
            model.to(memory_format=torch.channels_last)
            assert not params[0].is_contiguous()
        grads = [random(*param.shape, seed=10 * t + i) for i, param in enumerate(params)]
        for param, grad in zip(params, grads, strict=True):
            own = torch.empty_like(param).copy_(grad)
            if gradients == "row-major":
                own = own.contiguous()
            elif gradients == "channels last" and param.ndim == 4:
                own = own.contiguous(memory_format=torch.channels_last)
            param.grad = own
        optimizer.step()
        oracle.expect(grads, params, [optimizer.state[param] for param in params], {})
    same = gradients != "row-major"
    assert is_in(params[0], taken) or not same
    if same:
        assert [one is params[0] for one in taken].count(True) >= 3, "the kernel left the layout"


def test_torchs_fused_adam_is_wrong_where_ours_is_right() -> None:
    """The trap that strides are compared for: if this fails, torch has mended it."""
    param = nn.Parameter(random(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
    other = nn.Parameter(param.detach().contiguous())
    grad = random(4, 3, 2, 2, seed=1)
    for one, is_fused in ((param, True), (other, False)):
        one.grad = grad.clone()  # row-major, both
        torch.optim.Adam([one], lr=0.1, fused=is_fused).step()
    assert not torch.allclose(param, other), "torch's fused Adam now looks at strides"


LAYOUTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "every other column": lambda whole: whole[:, ::2],
    "columns with a gap": lambda whole: whole[:, 1:7],
    "transposed": Tensor.t,
    "odd offset": lambda whole: whole.flatten()[3:50],
    "one row": lambda whole: whole[2],
    "one column": lambda whole: whole[:, 2:3],
}


@pytest.mark.parametrize("of_grad", ["alike", "row-major", "reversed", "gaps", "expanded"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parameters_and_gradients_may_lie_anyhow(layout: str, of_grad: str) -> None:
    """Rows around the parameter are not touched either."""
    whole = random(8, 9)
    before = whole.clone()
    param = LAYOUTS[layout](whole).requires_grad_()

    def grads(t: int) -> list[Tensor]:
        grad = random(*param.shape, seed=t + 5)
        if of_grad == "alike":
            grad = LAYOUTS[layout](torch.zeros(8, 9)).copy_(grad)
        elif of_grad == "reversed":
            order = list(range(param.ndim))[::-1]
            grad = grad.permute(order).contiguous().permute(order)
        elif of_grad == "gaps":
            grad = torch.stack([grad, grad], -1)[..., 0]
        elif of_grad == "expanded":
            grad = torch.tensor(0.5 + t).expand(param.shape)
        return [grad]

    optimizer = follows([param], grads)
    inside = torch.zeros(8, 9, dtype=torch.bool)
    LAYOUTS[layout](inside).fill_(True)
    assert torch.equal(whole[~inside], before[~inside])
    assert optimizer.state[param]["exp_avg"].shape == param.shape


def test_memory_at_odd_addresses_is_left_to_torch(taken: list[Tensor]) -> None:
    def odd(values: Tensor) -> Tensor:
        memory = bytearray(4 * values.numel() + 1)
        return torch.frombuffer(memory, dtype=torch.float32, offset=1).copy_(values)

    param = odd(random(37)).requires_grad_()
    assert param.data_ptr() % 4
    optimizer = follows([param], lambda t: [odd(random(37, seed=t))])
    assert not taken
    other = nn.Parameter(random(5))
    other.grad = random(5)
    optimizer = AdaBelief([other])
    optimizer.step()
    optimizer.state[other]["step"] = odd(torch.ones(1)).reshape(())
    optimizer.step()
    assert optimizer.state[other]["step"].item() == 2


# --- memory that is shared ------------------------------------------------------------------


def shared(name: str, fused: bool) -> list[Tensor]:
    """Parameters whose memory overlaps, stepped three times."""
    base = random(40)
    pairs: Mapping[str, Callable[[], list[Tensor]]] = {
        "twice the same memory": lambda: [base[:20], base[:20]],
        "partly": lambda: [base[:20], base[15:35]],
        "one within the other": lambda: [base[5:10], base[:30]],
        "by one element": lambda: [base[:20], base[19:]],
        "neighbours": lambda: [base[:20], base[20:]],
        "tied across groups": lambda: [base[:20], base[10:30]],
    }
    params = [part.requires_grad_() for part in pairs[name]()]
    groups: Any = [{"params": [p]} for p in params] if "groups" in name else params
    optimizer = AdaBelief(groups, lr=0.1, foreach=None if fused else False, fused=fused)
    steps(optimizer, lambda t: [random(p.numel(), seed=9 * t + i) for i, p in enumerate(params)])
    return [base, *(optimizer.state[param]["exp_avg_var"] for param in params)]


@pytest.mark.parametrize(
    "name",
    ["twice the same memory", "partly", "one within the other", "by one element", "neighbours",
     "tied across groups"],
)  # fmt: skip
def test_overlapping_parameters_step_one_after_the_other(name: str, taken: list[Tensor]) -> None:
    got = shared(name, fused=True)
    assert bool(taken) == (name in ("neighbours", "tied across groups"))
    for own, expected in zip(got, shared(name, fused=False), strict=True):
        torch.testing.assert_close(own, expected)


def test_a_gradient_may_be_another_parameters_memory(taken: list[Tensor]) -> None:
    def run(fused: bool) -> list[Tensor]:
        first, second = (nn.Parameter(random(30, seed=i)) for i in range(2))
        first.grad, second.grad = second.detach(), random(30, seed=3)
        optimizer = AdaBelief(
            [first, second], lr=0.1, foreach=None if fused else False, fused=fused
        )
        optimizer.step()
        optimizer.step()
        return [first.detach(), second.detach()]

    got = run(fused=True)
    assert not taken
    for own, expected in zip(got, run(fused=False), strict=True):
        torch.testing.assert_close(own, expected)


def test_one_gradient_for_two_parameters_is_no_overlap(taken: list[Tensor]) -> None:
    grad = random(30)
    follows([nn.Parameter(random(30, seed=i)) for i in range(2)], lambda _: [grad, grad], 2)
    assert len(taken) >= 2


def test_state_may_be_shared(taken: list[Tensor]) -> None:
    """Counts of steps, too: each parameter advances them before the first is updated."""

    def run(key: str, fused: bool) -> list[Tensor]:
        params = [nn.Parameter(random(5, seed=i)) for i in range(2)]
        optimizer = AdaBelief(params, lr=0.1, fused=fused)  # foreach is who it is left to
        for param in params:
            param.grad = random(5, seed=7)
        optimizer.step()
        optimizer.state[params[1]][key] = optimizer.state[params[0]][key]
        taken.clear()
        optimizer.step()
        optimizer.step()
        assert not taken or key == "step"
        return [*params, optimizer.state[params[0]][key]]

    for key in ("step", "exp_avg", "exp_avg_var"):
        for own, expected in zip(run(key, True), run(key, False), strict=True):
            torch.testing.assert_close(own, expected)


def test_a_lazy_clone_keeps_its_values(taken: list[Tensor]) -> None:
    """Copy on write: the kernel's write makes the copy."""
    param = nn.Parameter(random(600))
    param.grad = random(600, seed=1)
    optimizer = AdaBelief([param], lr=0.1)
    optimizer.step()
    before = param.detach().clone()
    clone = torch._lazy_clone(param.detach())
    optimizer.step()
    assert len(taken) == 2
    assert torch.equal(clone, before)
    assert not torch.equal(param, before)


# --- what is no plain tensor ----------------------------------------------------------------


def test_storages_resized_to_nothing_are_not_taken() -> None:
    """FSDP does that. (torch's own foreach crashes on them, so there is no step here.)"""
    for which in range(4):
        param = nn.Parameter(random(300))
        param.grad = random(300, seed=1)
        optimizer = AdaBelief([param], fused=True)
        optimizer.step()
        state = optimizer.state[param]
        own = [param, param.grad, state["exp_avg"], state["exp_avg_var"]]
        own[which].untyped_storage().resize_(0)
        rows = cpu.batch()
        assert rows.gather([param], optimizer.state, 0, False, 0, 0) == ([], [0])
        assert not rows.append((*own, None, None, None), False, 0, 0, 0, 0, 0)


def test_meta_parameters_step() -> None:
    param = nn.Parameter(torch.empty(3, 4, device="meta"))
    param.grad = torch.empty(3, 4, device="meta")
    optimizer = AdaBelief([param], fused=True)
    optimizer.step()
    assert optimizer.state[param]["exp_avg"].is_meta


def test_fake_tensors_step_and_real_ones_beside_them_are_not_touched() -> None:
    real = nn.Parameter(random(30))
    real.grad = random(30, seed=1)
    of_real = AdaBelief([real], fused=True)
    of_real.step()
    before = real.detach().clone()
    with FakeTensorMode(allow_non_fake_inputs=True):
        param = nn.Parameter(torch.ones(30))
        param.grad = torch.ones(30)
        optimizer = AdaBelief([param], fused=True)
        for _ in range(2):
            optimizer.step()
        with pytest.raises(DataDependentOutputException):  # the mode's own: t is not known to it
            of_real.step()
    assert torch.equal(real, before)
    assert optimizer.state[param]["step"].item() == 2


class Seen(TorchDispatchMode):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.written += "lerp" in str(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("is_fused", [None, True])
def test_a_dispatch_mode_sees_the_step(is_fused: bool | None, taken: list[Tensor]) -> None:
    param = nn.Parameter(random(30))
    param.grad = random(30, seed=1)
    optimizer = AdaBelief([param], fused=is_fused)
    optimizer.step()
    assert taken
    taken.clear()
    with Seen() as mode:
        optimizer.step()
    assert mode.written
    assert not taken
    optimizer.step()
    assert len(taken) == 1


class Shouting(Tensor):
    """A subclass without rules of its own, but it might have some."""


def test_subclasses_are_left_to_torch(taken: list[Tensor]) -> None:
    def run(fused: bool) -> Tensor:
        param = random(30).as_subclass(Shouting).requires_grad_()
        optimizer = AdaBelief([param], lr=0.1, fused=fused, foreach=None if fused else False)
        steps(optimizer, lambda t: [random(30, seed=t).as_subclass(Shouting)])
        return param.detach().as_subclass(Tensor)

    got = run(fused=True)
    assert not [one for one in taken if type(one) is Shouting]
    torch.testing.assert_close(got, run(fused=False))


def test_tensors_of_functorch_are_left_to_torch(taken: list[Tensor]) -> None:
    """Their memory is that of the whole batch. torch's foreach does not take them, and says so."""

    def stepped(param: Tensor, grad: Tensor) -> Tensor:
        param = param.clone()
        param.grad = grad
        AdaBelief([param], lr=0.1, fused=True).step()
        return param

    stepped(random(6), random(6))
    stepped(random(6), random(6))
    assert len(taken) == 2
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        torch.func.vmap(stepped)(random(4, 6), random(4, 6, seed=1))
    assert len(taken) == 2


def test_sparse_gradients_step_lazily_beside_dense_ones(taken: list[Tensor]) -> None:
    table, dense = nn.Embedding(10, 3, sparse=True), nn.Linear(3, 1)
    params = [table.weight, *dense.parameters()]
    optimizer = AdaBelief(params, lr=0.1, fused=True)
    before = table.weight.detach().clone()
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward(dense(table(torch.tensor([1, 4]))).sum())
        optimizer.step()
    assert is_in(dense.weight, taken)
    assert not is_in(table.weight, taken)
    moved = (table.weight != before).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 4]


@pytest.mark.parametrize("size", [1, 5])
def test_a_sign_that_is_still_to_be_applied_is(size: int) -> None:
    """torch's negative bit: imaginary parts of conjugates."""

    def imaginary(seed: int) -> Tensor:
        whole = torch.complex(random(size), random(size, seed=seed))
        part = whole.conj().imag
        assert part.is_neg()
        return part

    def run(fused: bool, of_param: bool) -> Tensor:
        param = imaginary(3) if of_param else random(size)
        param.requires_grad_()
        foreach = None if fused else False
        optimizer = AdaBelief([param], lr=0.1, weight_decay=0.1, fused=fused, foreach=foreach)
        for t in range(3):
            param.grad = random(size, seed=t) if of_param else imaginary(t)
            optimizer.step()
        return param.detach().resolve_neg().clone()

    torch.testing.assert_close(run(True, False), run(False, False))
    with pytest.raises(RuntimeError, match="negation inputs"):  # torch's foreach will not write
        run(True, True)


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("store") / "file"
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_the_local_shard_of_a_dtensor_goes_by_the_kernel(mesh: Any, taken: list[Tensor]) -> None:
    params: list[Tensor] = [
        distribute_tensor(random(8, 6), mesh, [placement])
        for placement in (Shard(0), Shard(1), Replicate())
    ]
    plain = random(8, 6)
    optimizer = AdaBelief([*params, plain], lr=0.1, fused=True, weight_decay=0.1)
    for t in range(3):
        plain.grad = random(8, 6, seed=t)
        for param in params:
            param.grad = DTensor.from_local(plain.grad, mesh, param.placements)  # type: ignore[attr-defined]
        taken.clear()
        optimizer.step()
        assert len(taken) == 4
        assert not [one for one in taken if type(one) is DTensor]
    for param in params:
        assert torch.equal(param.to_local(), plain)  # type: ignore[attr-defined]


# --- autograd -------------------------------------------------------------------------------


def test_autograd_learns_that_a_saved_parameter_was_stepped() -> None:
    param = nn.Parameter(random(30))
    loss = (param**3).sum()
    param.grad = random(30, seed=1)
    version = param._version
    AdaBelief([param], fused=True).step()
    assert param._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(loss)


def test_parameters_made_in_inference_mode_step(taken: list[Tensor]) -> None:
    with torch.inference_mode():
        param, grad = random(30), random(30, seed=1)
    normal = random(30)
    with torch.inference_mode():
        optimizer = AdaBelief([param, normal], lr=0.1, fused=True)
        param.grad, normal.grad = grad, grad
        optimizer.step()
    assert len(taken) == 2
    assert torch.equal(param, normal)


# --- state that changes between steps -------------------------------------------------------


def replaced(state: dict[str, Tensor], param: Tensor) -> None:
    state["exp_avg"] = random(*param.shape, seed=50)


def moved(state: dict[str, Tensor], param: Tensor) -> None:
    param.data = param.detach().clone()
    state["exp_avg_var"].data = state["exp_avg_var"].clone()


def grown(state: dict[str, Tensor], param: Tensor) -> None:
    """A storage that moves while the tensor stays."""
    for tensor in (param, state["exp_avg"]):
        storage = tensor.untyped_storage()
        storage.resize_(storage.nbytes() * 4096)


def deleted(state: dict[str, Tensor], param: Tensor) -> None:
    del param
    state.clear()


def in_place(state: dict[str, Tensor], param: Tensor) -> None:
    state["exp_avg_var"].mul_(2)
    with torch.no_grad():
        param.mul_(2)


def other_layout(state: dict[str, Tensor], param: Tensor) -> None:
    del param
    state["exp_avg"] = state["exp_avg"].t().contiguous().t()


def other_dtype(state: dict[str, Tensor], param: Tensor) -> None:
    del param
    state["exp_avg"] = state["exp_avg"].double()


def exchanged(state: dict[str, Tensor], param: Tensor) -> None:
    """The memory of the old one is free, and used again."""
    param.data = random(*param.shape, seed=51)
    state["exp_avg"].set_(random(*param.shape, seed=52))  # type: ignore[call-overload]
    state["step"] = torch.tensor(41.0)


@pytest.mark.parametrize(
    "change",
    [replaced, moved, grown, deleted, in_place, other_layout, other_dtype, exchanged],
)
def test_no_pointer_is_kept_from_step_to_step(
    change: Callable[[dict[str, Tensor], Tensor], None],
) -> None:
    def run(fused: bool) -> list[Tensor]:
        params = [nn.Parameter(random(20, 30, seed=i)) for i in range(3)]
        optimizer = AdaBelief(params, lr=0.1, foreach=None if fused else False, fused=fused)
        for t in range(4):
            for param in params:
                param.grad = random(20, 30, seed=t + 10)
            if t == 2:
                change(optimizer.state[params[1]], params[1])
            optimizer.step()
        found = [optimizer.state[p][key] for p in params for key in ("exp_avg", "exp_avg_var")]
        return [*params, *found, *(optimizer.state[p]["step"] for p in params)]

    for own, expected in zip(run(True), run(False), strict=True):
        torch.testing.assert_close(own, expected)


def test_what_an_option_left_behind_is_not_used_later() -> None:
    """Off and on again: the bits of an earlier parameter would move the new one."""

    def run(fused: bool) -> Tensor:
        param = nn.Parameter(random(600, dtype=torch.bfloat16))
        optimizer = AdaBelief([param], lr=1e-3, master_weights="split", fused=fused)
        for t, master_weights in enumerate(["split", "split", None, None, "split"]):
            optimizer.param_groups[0]["master_weights"] = master_weights
            param.grad = random(600, seed=t, dtype=torch.bfloat16)
            optimizer.step()
            assert ("master_bits" in optimizer.state[param]) == (master_weights is not None)
        bits = optimizer.state[param]["master_bits"]
        return (param.detach().view(torch.int16).int() << 16) + bits.int()

    # As int32, neighbours differ by 1: the paths differ by roundings of float32.
    difference = (run(True).long() - run(False).long()).abs()
    assert difference.max() < 1000, f"{difference.max()} units of float32's last place"


# --- mixtures -------------------------------------------------------------------------------


MIXED = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def mixed(is_fused: bool | None, kernel: str | None = None, **more: Any) -> list[Tensor]:
    del kernel
    groups: list[dict[str, Any]] = [
        {},
        {"amsgrad": True, "weight_decay": 0.1, "decoupled_weight_decay": False},
        {"rectify": True, "clip_update": 0.5, "maximize": True, "lr": 0.01},
        {"feasible_set": Box(-0.25, 0.25)},
        {"state_dtype": "bfloat16"},
        {"state_dtype": "8bit", "weight_decay": 0.1},
        {"master_weights": "split"},
        {"state_dtype": "bfloat16", "master_weights": "stochastic"},
    ]
    for i, group in enumerate(groups):
        dtypes: tuple[torch.dtype, ...] = MIXED[1:] if "state_dtype" in group else MIXED
        dtypes = dtypes[:-1] if "master_weights" in group else dtypes
        group["params"] = [
            nn.Parameter(random(257 + 1000 * j, seed=i + 10 * j, dtype=dtype))
            for j, dtype in enumerate(dtypes)
        ]
    foreach = False if is_fused is False else None
    optimizer = AdaBelief(groups, lr=0.05, fused=is_fused, foreach=foreach, **more)
    params = [param for group in optimizer.param_groups for param in group["params"]]
    steps(
        optimizer,
        lambda t: [
            None if t == 1 and i % 5 == 0 else random(p.numel(), seed=100 * t + i, dtype=p.dtype)
            for i, p in enumerate(params)
        ],
    )
    found = [optimizer.state[param] for param in params]
    return [*params, *(each[key] for each in found for key in sorted(each))]


def test_dtypes_options_and_formats_mix_in_one_call(taken: list[Tensor]) -> None:
    got = mixed(True)
    assert len({id(one) for one in taken}) == len([one for one in got if one.requires_grad])
    for own, expected in zip(got, mixed(False), strict=True):
        if own.dtype in (torch.uint8, torch.int16):  # codes: their meaning is compared elsewhere
            continue
        rough = own.dtype in (torch.bfloat16, torch.float16)
        rtol, atol = (2e-2, 1e-3) if rough else (1e-4, 1e-6)
        torch.testing.assert_close(own, expected, rtol=rtol, atol=atol)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def large(count: int, formats: Mapping[str, Any], dtype: torch.dtype) -> list[Tensor]:
    torch.set_num_threads(count)
    params = [
        nn.Parameter(random(size, seed=i, dtype=dtype))
        for i, size in enumerate([BIG, 1, 255, 256, 257, 70_001, 3])
    ]
    optimizer = AdaBelief(params, lr=0.1, **formats)
    steps(optimizer, lambda t: [random(p.numel(), seed=t, dtype=dtype) for p in params], 2)
    found = [optimizer.state[param] for param in params]
    return [*params, *(each[key] for each in found for key in sorted(each))]


@pytest.mark.parametrize(
    ("formats", "dtype"),
    [
        ({}, torch.float32),
        ({"state_dtype": "bfloat16"}, torch.float32),
        ({"state_dtype": "8bit"}, torch.float32),
        ({"state_dtype": "bfloat16", "master_weights": "split"}, torch.bfloat16),
        (
            {"state_dtype": "8bit", "master_weights": "stochastic", "clip_update": 0.5},
            torch.bfloat16,
        ),
    ],
    ids=str,
)
def test_threads_do_not_change_a_bit(
    formats: Mapping[str, Any],
    dtype: torch.dtype,
    threads: Callable[[int], None],
    taken: list[Tensor],
) -> None:
    del threads
    one = large(1, formats, dtype)
    assert len(taken) == 14
    for count in (2, 3):
        for own, expected in zip(large(count, formats, dtype), one, strict=True):
            assert torch.equal(own, expected)


SCALARS = (1.0, 0.0, 0.999, 0.9, 0.1, 0.99, 0.01, 1e-8, 1e-9, 1.5, 0.1)
UNBOUNDED = (float("inf"), float("-inf"), float("inf"))


@pytest.mark.parametrize("options", ["common", "clip", "amsgrad", "coupled", "unadapted"])
@pytest.mark.parametrize("size", [1, 15, 16, 17, 255, 256, 257, 3001])
def test_instruction_sets_do_not_change_a_bit(size: int, options: str) -> None:
    scalars: tuple[float | bool, ...] = SCALARS + (
        (0.5, *UNBOUNDED[1:]) if options == "clip" else UNBOUNDED
    )
    amsgrad, coupled = options == "amsgrad", options == "coupled"
    scalars += (coupled, amsgrad, options != "unadapted")

    def run(kernel: str, dtype: torch.dtype, state_dtype: int, master_weights: int) -> list[Tensor]:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        first = torch.bfloat16 if state_dtype else wide
        second = torch.uint8 if state_dtype == 2 else first
        exp_avg_var = random(size, seed=3).abs().mul(200 if state_dtype == 2 else 1)
        exponents = torch.full((-(-size // 256),), 90, dtype=torch.uint8)
        arrays = [
            random(size, dtype=dtype),
            random(size, seed=1, dtype=dtype),
            random(size, seed=2, dtype=first),
            exp_avg_var.clamp(max=255).to(second),
            random(size, seed=4).abs().to(second) if amsgrad else None,
            exponents if state_dtype == 2 else None,
            random(size, seed=5).mul(9999).to(torch.int16) if master_weights == 1 else None,
        ]
        if size > 2:
            assert arrays[1] is not None
            arrays[1][size // 2], arrays[1][size // 3] = float("nan"), float("inf")
        rows = cpu.batch()
        assert rows.append(tuple(arrays), amsgrad, state_dtype, master_weights, 123, 456, 0)  # type: ignore[arg-type]
        assert rows.run([scalars], kernel)
        return [array for array in arrays if array is not None]

    for dtype in MIXED:
        for state_dtype in (0, 1, 2) if dtype != torch.float64 else (0,):
            if amsgrad and state_dtype == 2:
                continue
            for master_weights in (0, 1, 2) if dtype == torch.bfloat16 else (0,):
                baseline = run("baseline", dtype, state_dtype, master_weights)
                fastest = run("", dtype, state_dtype, master_weights)
                for own, expected in zip(fastest, baseline, strict=True):
                    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
                    view = bits[own.element_size()]
                    assert torch.equal(own.view(view), expected.view(view))


# --- loss scaling ---------------------------------------------------------------------------


@pytest.mark.parametrize("unscale_first", [False, True])
def test_grad_scaler_leaves_scaling_to_the_kernel(unscale_first: bool, taken: list[Tensor]) -> None:
    """Some parameters fall back: an expanded gradient, a parameter with gaps, float64."""

    def build() -> list[Tensor]:
        gaps = random(10, 8, seed=3)[:, ::2]
        return [random(300), random(20, seed=1), gaps, random(7, seed=2, dtype=torch.float64)]

    def loss(params: list[Tensor], t: int) -> Tensor:
        x = random(300, seed=t + 20)
        total = (params[0] * x).sum() ** 2 + params[1].sum() + (params[2] ** 2).sum()
        return total + params[3].square().sum().float()

    def run(with_scaler: bool) -> list[Tensor]:
        params = [param.requires_grad_() for param in build()]
        groups: Any = [{"params": params[:2]}, {"params": params[2:], "lr": 0.05}]
        optimizer = AdaBelief(groups, lr=0.1, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=with_scaler)
        for t in range(4):
            optimizer.zero_grad()
            torch.autograd.backward(scaler.scale(loss(params, t)))
            if with_scaler and t == 2:
                assert params[0].grad is not None
                params[0].grad[5] = float("inf")
                before = [param.detach().clone() for param in params]
            if with_scaler and unscale_first:
                scaler.unscale_(optimizer)
            if with_scaler or t != 2:
                scaler.step(optimizer)
            scaler.update()
            if with_scaler and t == 2:
                assert all(torch.equal(p, old) for p, old in zip(params, before, strict=True))
                assert optimizer.state[params[0]]["step"].item() == 2
                assert scaler.get_scale() == 2.0**9
        assert not hasattr(optimizer, "grad_scale")
        return [param.detach() for param in params]

    got = run(with_scaler=True)
    assert taken
    for own, expected in zip(got, run(with_scaler=False), strict=True):
        torch.testing.assert_close(own, expected)  # the scale is a power of two


def test_only_fused_optimizers_support_amp_scaling() -> None:
    param = nn.Parameter(random(3))
    for wish, supports in ((True, True), (None, False), (False, False)):
        assert AdaBelief([param], fused=wish)._step_supports_amp_scaling is supports
    groups: Any = [{"params": [param]}, {"params": [nn.Parameter(random(3))], "fused": False}]
    assert not AdaBelief(groups, fused=True)._step_supports_amp_scaling


# --- options --------------------------------------------------------------------------------


def test_counts_beyond_2_to_24_go_on_as_in_torch(taken: list[Tensor]) -> None:
    """float32 stops counting there; the corrections are 1 long before."""
    for start, expected in ((2.0**24 - 2, 2.0**24), (2.0**24, 2.0**24), (2.0**25, 2.0**25)):
        results = []
        for is_fused in (True, False):
            param = nn.Parameter(random(30))
            optimizer = AdaBelief([param], lr=0.1, fused=is_fused)
            param.grad = random(30, seed=1)
            optimizer.step()
            optimizer.state[param]["step"].fill_(start)
            for _ in range(3):
                optimizer.step()
            assert optimizer.state[param]["step"].item() == expected
            results.append(param.detach())
        torch.testing.assert_close(*results)
    assert taken


def test_a_count_that_is_none_is_not_taken(taken: list[Tensor]) -> None:
    param = nn.Parameter(random(30))
    param.grad = random(30, seed=1)
    optimizer = AdaBelief([param], fused=True)
    optimizer.step()
    taken.clear()
    rows = cpu.batch()
    for count in (float("nan"), float("inf"), -1.0, -7.0):
        optimizer.state[param]["step"].fill_(count)
        assert rows.gather([param], optimizer.state, 0, False, 0, 0) == ([], [0])
    optimizer.state[param]["step"] = torch.tensor(5)  # integers are not ours
    assert rows.gather([param], optimizer.state, 0, False, 0, 0) == ([], [0])


@pytest.mark.parametrize("lr", [torch.tensor(0.1), torch.tensor([0.1], dtype=torch.float64)])
def test_a_tensor_lr_is_read_at_every_step(lr: Tensor, taken: list[Tensor]) -> None:
    params = [nn.Parameter(random(30)) for _ in range(2)]
    optimizers = AdaBelief([params[0]], lr=lr, fused=True), AdaBelief([params[1]], lr=0.1)
    for t in range(3):
        for param, optimizer in zip(params, optimizers, strict=True):
            param.grad = random(30, seed=t)
            optimizer.step()
        lr.mul_(0.5)
        optimizers[1].param_groups[0]["lr"] = float(lr)
        assert torch.equal(*params)
    assert len(taken) == 6


@pytest.mark.parametrize(
    ("feasible_set", "by_kernel"),
    [
        (Box(-0.1, 0.2), True),
        (Box(0.05, float("inf")), True),
        (NonNegative(), True),
        (Box(torch.full((4, 6), -0.1), 0.2), False),
        (L2Ball(1.0), False),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_feasible_sets(
    feasible_set: Any, by_kernel: bool, dtype: torch.dtype, taken: list[Tensor]
) -> None:
    if isinstance(getattr(feasible_set, "low", None), Tensor) and dtype != torch.float32:
        feasible_set = Box(torch.full((4, 6), -0.1, dtype=dtype), 0.2)
    results = []
    for is_fused in (True, False):
        param = nn.Parameter(random(4, 6, dtype=dtype))
        optimizer = AdaBelief([param], lr=0.1, fused=is_fused, feasible_set=feasible_set)
        steps(optimizer, lambda t: [random(4, 6, seed=t, dtype=dtype)])
        results.append(param.detach())
    assert bool(taken) == by_kernel
    rough = dtype == torch.bfloat16
    rtol, atol = (1e-2, 1e-3) if rough else (1e-5, 1e-6)
    torch.testing.assert_close(*results, rtol=rtol, atol=atol)


# --- where there is no kernel ---------------------------------------------------------------

HIDDEN = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == "adabelief.kernels._cpu":
            raise ImportError("hidden by a test")
sys.meta_path.insert(0, Hide())
import torch
from adabelief import AdaBelief
param = torch.nn.Parameter(torch.ones(3))
try:
    AdaBelief([param], fused=True)
except RuntimeError as error:
    print(error)
optimizer = AdaBelief([param], lr=0.1)
try:
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "fused": True})
except RuntimeError as error:
    print(len(optimizer.param_groups))
param.grad = torch.ones(3)
optimizer.step()
print(param.tolist())
"""


def test_without_the_extension_fused_says_why_and_none_works() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", HIDDEN],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr
    reason, groups, moved_to = ended.stdout.splitlines()
    assert "fused must be None or False here, got True" in reason
    assert "was not built" in reason
    assert "hidden by a test" in reason
    assert groups == "1"
    assert moved_to != str([1.0] * 3)


# --- wrong calls of the C functions ---------------------------------------------------------

Arrays = tuple[Any, ...]
COMMON = (*SCALARS, *UNBOUNDED, False, False, True)


def arrays(size: int = 600) -> Arrays:
    state = torch.zeros(size), torch.zeros(size)
    return (random(size), random(size, seed=1), *state, None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda rows: rows.append(),
        lambda rows: rows.append(arrays()[:5], False, 0, 0, 0, 0, 0),
        lambda rows: rows.append(arrays(), False, 77, 0, 0, 0, 0),
        lambda rows: rows.append(arrays(), False, -1, 0, 0, 0, 0),
        lambda rows: rows.append(arrays(), False, 0, 99, 0, 0, 0),
        lambda rows: rows.append(arrays(), False, 0, -5, 0, 0, 0),
        lambda rows: rows.append(arrays(), False, "0", 0, 0, 0, 0),
        lambda rows: rows.append(arrays(), False, 0, 0, 0, 0, -1),
        lambda rows: rows.append(arrays(), False, 0, 0, 0, 0, 1),
        lambda rows: rows.append(arrays(), False, 0, 0, 0, 0, 2**31 - 1),
        lambda rows: rows.append(arrays(), False, 0, 0, 0, 0, 2**40),
        lambda rows: rows.gather(None, {}, 0, False, 0, 0),
        lambda rows: rows.gather([], [], 0, False, 0, 0),
        lambda rows: rows.gather([1], {}, 0, False, 0, 0),
        lambda rows: rows.gather([], {}, 2**70, False, 0, 0),
        lambda rows: rows.gather([], {}, 0, False, 3, 0),
        lambda rows: rows.gather([], {}, 0, False, 0, -1),
        lambda rows: rows.run(None, ""),
        lambda rows: rows.run([], "fastest"),
        lambda rows: rows.run([COMMON], ""),
        lambda rows: rows.run([], None),
        copy.copy,
        pickle.dumps,
    ],
)
def test_wrong_calls_raise(wrong: Callable[[Any], object]) -> None:
    rows = cpu.batch()
    with pytest.raises((TypeError, ValueError, OverflowError, AttributeError)):
        wrong(rows)
    assert rows.params() == []
    assert rows.run([], "")


@pytest.mark.parametrize(
    "scalars",
    [
        [1],
        [()],
        [COMMON[:-1]],
        [(*COMMON, 1)],
        [("1", *COMMON[1:])],
        [(*COMMON[:-2], True, True)],  # amsgrad, which the rows have not
        [COMMON, COMMON],
        [None],
    ],
    ids=str,
)
def test_wrong_scalars_raise_and_change_nothing(scalars: Any) -> None:
    rows, own = cpu.batch(), arrays()
    assert rows.append(own, False, 0, 0, 0, 0, 0)
    before = [each.clone() for each in own[:4]]
    with pytest.raises((TypeError, ValueError)):
        rows.run(scalars, "")
    assert all(torch.equal(*pair) for pair in zip(own, before, strict=False))
    assert rows.run([COMMON], "")


def test_what_the_kernel_cannot_take_is_not_appended() -> None:
    own = arrays()
    for i, wrong in [
        (0, own[0][:599]), (0, own[0].int()), (0, None), (0, 1), (0, own[0].to("meta")),
        (0, own[0].as_subclass(Shouting)), (0, own[0].to_sparse()), (0, own[0].expand(2, 600)),
        (1, own[1].reshape(20, 30)), (1, own[1].double()), (1, own[1][:1].expand(600)), (1, None),
        (2, own[2].double()), (2, own[2].bfloat16()), (2, None), (3, own[3].half()),
        (3, own[3][::2]), (3, None),
    ]:  # fmt: skip
        rows = cpu.batch()
        assert not rows.append((*own[:i], wrong, *own[i + 1 :]), False, 0, 0, 0, 0, 0)
    for options in ((True, 0, 0), (False, 1, 0), (False, 2, 0), (True, 2, 0)):
        assert not cpu.batch().append(own, *options, 0, 0, 0)
    half = own[0].bfloat16(), own[1].bfloat16(), *own[2:]
    assert not cpu.batch().append(half, False, 0, 1, 0, 0, 0)  # no bits
    assert cpu.batch().append(half, False, 0, 2, 0, 0, 0)
    with pytest.raises(ValueError, match="traffic takes dense float32"):
        cpu.traffic(*([each[::2]] for each in own[:4]))


def test_a_batch_runs_once_and_takes_no_more() -> None:
    rows = cpu.batch()
    own = arrays()
    assert rows.append(own, False, 0, 0, 0, 0, 0)
    assert rows.run([COMMON], "")
    for more in (
        lambda: rows.run([COMMON], ""),
        lambda: rows.append(arrays(), False, 0, 0, 0, 0, 0),
        lambda: rows.gather([], {}, 0, False, 0, 0),
    ):
        with pytest.raises(RuntimeError, match="runs once"):
            more()


def test_overlapping_rows_are_refused_and_nothing_changes() -> None:
    rows, own = cpu.batch(), arrays()
    for _ in range(2):
        assert rows.append(own, False, 0, 0, 0, 0, 0)
    before = own[0].clone()
    assert rows.run([COMMON], "") is False
    assert torch.equal(own[0], before)


class Meddling:
    """A number whose conversion runs code of its own."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __float__(self) -> float:
        self.act()
        return 1.0


def test_code_that_meddles_with_a_batch_in_use_is_refused() -> None:
    rows = cpu.batch()
    for slot in range(3):
        assert rows.append(arrays(), False, 0, 0, 0, 0, slot)
    more: Callable[[], object] = lambda: rows.append(arrays(), False, 0, 0, 0, 0, 3)  # noqa: E731
    again: Callable[[], object] = lambda: rows.run([COMMON] * 3, "")  # noqa: E731
    for act in (more, again):
        with pytest.raises(RuntimeError, match="one call at a time"):
            rows.run([(Meddling(act), *COMMON[1:]), COMMON, COMMON], "")  # type: ignore[list-item]
    scalars: list[Any] = [COMMON, COMMON]
    scalars.insert(0, (Meddling(scalars.clear), *COMMON[1:]))
    with pytest.raises(IndexError):
        rows.run(scalars, "")
    assert rows.run([COMMON] * 3, "")


class Property(nn.Parameter):
    """A parameter whose gradient is made by code."""

    act: Callable[[], Any]

    @property
    def grad(self) -> Any:  # type: ignore[override]
        return self.act()


def test_gathering_that_fails_or_is_meddled_with_adds_nothing() -> None:
    good = [nn.Parameter(random(30, seed=i)) for i in range(20)]
    optimizer = AdaBelief(good, fused=True)
    for count in range(1, 21):  # so that each has a t of its own
        for param in good[:count]:
            param.grad = random(30)
        optimizer.step()
    rows, special = cpu.batch(), Property(torch.ones(2))

    def gather(*params: Tensor) -> tuple[list[int], list[int]]:
        return rows.gather([*params], optimizer.state, 0, False, 0, 0)

    def fails() -> None:
        msg = "no gradient today"
        raise ValueError(msg)

    special.act = fails
    with pytest.raises(ValueError, match="no gradient today"):
        gather(*good, special)
    assert rows.params() == []
    special.act = lambda: gather(*good)
    with pytest.raises(RuntimeError, match="one call at a time"):
        gather(special, *good)
    assert rows.params() == []
    params: list[Tensor] = [special, *good]
    special.act = params.clear
    with pytest.raises(IndexError):
        rows.gather(params, optimizer.state, 0, False, 0, 0)
    special.act = lambda: None
    times, rest = gather(special, *good)
    assert (len(times), rest) == (20, [])
    assert rows.run([COMMON] * 20, "")


# --- threads and processes ------------------------------------------------------------------


def train(seed: int, count: int) -> list[Tensor]:
    params = [nn.Parameter(random(size, seed=seed)) for size in (40_000, 7, 300)]
    optimizer = AdaBelief(params, lr=0.1, state_dtype="bfloat16")
    steps(optimizer, lambda t: [random(p.numel(), seed=seed + t) for p in params], count)
    return [param.detach() for param in params]


def test_two_optimizers_in_two_threads_do_not_meet() -> None:
    expected = [train(seed, 10) for seed in range(2)]
    found: dict[int, list[Tensor]] = {}
    workers = [
        threading.Thread(target=lambda seed=seed: found.update({seed: train(seed, 10)}))
        for seed in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in range(2):
        for own, there in zip(found[seed], expected[seed], strict=True):
            assert torch.equal(own, there)


def test_other_threads_run_during_the_step(threads: Callable[[int], None]) -> None:
    """They cannot take the interpreter's lock, for an hour: they run if it is released."""
    threads(1)
    own = arrays(2_000_000)
    counted, done = [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            counted[0] += 1
            time.sleep(1e-6)  # gives the lock back

    worker, interval = threading.Thread(target=count), sys.getswitchinterval()
    worker.start()
    try:
        sys.setswitchinterval(3600)
        for _ in range(1000):  # on a busy machine the other may sleep through some
            rows = cpu.batch()
            assert rows.append(own, False, 0, 0, 0, 0, 0)
            before = counted[0]
            rows.run([COMMON], "")
            if counted[0] > before:
                break
        else:
            pytest.fail("no other thread ran during 1000 steps")
    finally:
        sys.setswitchinterval(interval)
        done.set()
        worker.join()


def test_a_forked_child_steps_too(threads: Callable[[int], None]) -> None:
    threads(2)
    param = nn.Parameter(random(BIG))
    param.grad = random(BIG, seed=1)
    optimizer = AdaBelief([param], lr=0.1)
    optimizer.step()  # the parent's threads exist now, and will not in the child
    child = copy.deepcopy(optimizer)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover
        torch.set_num_threads(1)
        optimizer.step()
        os.write(writing, b"%r" % float(param.detach().double().sum()))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    optimizer.step()
    assert float(told) == float(param.detach().double().sum())
    del child


def test_a_data_loader_with_workers_runs_beside_steps(threads: Callable[[int], None]) -> None:
    threads(2)
    model = nn.Linear(400, 400)
    optimizer = AdaBelief(model.parameters(), fused=True)
    data = TensorDataset(random(12, 400))
    for _ in range(2):
        for (batch,) in DataLoader(
            data, batch_size=3, num_workers=2, multiprocessing_context="fork"
        ):
            optimizer.zero_grad()
            torch.autograd.backward(model(batch).square().mean())
            optimizer.step()
    assert optimizer.state[model.weight]["step"].item() == 8


# --- life of objects ------------------------------------------------------------------------


def test_copies_of_a_used_optimizer_go_on_alike() -> None:
    params = [nn.Parameter(random(300, seed=i)) for i in range(2)]
    optimizer = AdaBelief(params, lr=0.1, fused=True, state_dtype="8bit")
    steps(optimizer, lambda t: [random(300, seed=t)] * 2)
    copies = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    results = []
    for one in (optimizer, *copies):
        steps(one, lambda t: [random(300, seed=t + 9)] * 2)
        results.append(one.param_groups[0]["params"])
    for first, second in pairwise(results):
        assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_a_step_leaves_no_reference_behind() -> None:
    params = [nn.Parameter(random(20, seed=i)) for i in range(4)]
    params.append(nn.Parameter(random(10, 4)[:, ::2]))  # falls back
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer = AdaBelief(params, fused=True)
    optimizer.step()

    def counts() -> list[int]:
        objects: list[Any] = [optimizer.state]
        for param in params:
            state = optimizer.state[param]
            objects += [param, param.grad, state, *state.values()]
        found = [sys.getrefcount(one) for one in objects]
        return [*found, sys.getrefcount(Tensor), sys.getrefcount(None) > 0]

    optimizer.step()
    before = counts()
    for _ in range(1000):
        optimizer.step()
    after = counts()
    # The type's count follows tensors that anybody makes; a leak would be thousands.
    assert after[:-2] == before[:-2]
    assert abs(after[-2] - before[-2]) < 100


def test_refused_calls_leave_no_reference_behind() -> None:
    own = arrays()

    def counts() -> list[int]:
        return [sys.getrefcount(each) for each in own[:4]]

    before = counts()
    for _ in range(100):
        rows = cpu.batch()
        rows.append(own, False, 0, 0, 0, 0, 0)
        rows.append(own, False, 1, 0, 0, 0, 0)
        with pytest.raises(ValueError, match="slot"):
            rows.append(own, False, 0, 0, 0, 0, 7)
        with pytest.raises(TypeError):
            rows.run([1], "")  # type: ignore[list-item]
        rows.run([COMMON], "")
        rows.params()
        del rows
    assert counts() == before
