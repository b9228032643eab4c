"""A capturable step never asks the device for a value: proved with fake CUDA tensors.

A FakeTensor has a device and no data: whatever needs a value of one (`item`, `if tensor`, a copy
to the host) raises. No CUDA device is needed; nothing here ran on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from adabelief import AdaBelief
from cases import CASES, STEPS, Case, normal
from oracle import Oracle

both_paths = pytest.mark.parametrize("foreach", [False, True, None])
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    with FakeTensorMode() as mode:
        yield mode


def on_cuda(dtype: torch.dtype = torch.float32, *size: int) -> Tensor:
    param = torch.empty(size or (3, 4), dtype=dtype, device="cuda", requires_grad=True)
    param.grad = torch.empty_like(param)
    return param


class Devices(TorchDispatchMode):  # type: ignore[misc]
    """Fails when an operation copies from a CUDA device to the host, or from host to device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            ends = {args[0].device.type, (out if isinstance(out, Tensor) else args[1]).device.type}
            assert ends == {"cuda"}, f"{func} between {ends}"
        return out


@both_paths
@every_case
def test_no_value_leaves_the_device(case: Case, foreach: bool | None, fake: FakeTensorMode) -> None:
    params = [on_cuda(), on_cuda(torch.bfloat16), on_cuda(torch.float64), on_cuda(torch.complex64)]
    optimizer = AdaBelief(params, capturable=True, foreach=foreach, **case.options)
    for _ in range(2):
        with Devices():
            optimizer.step()
    for param in params:
        assert {value.device.type for value in optimizer.state[param].values()} == {"cuda"}
        assert param.device.type == "cuda"


@both_paths
def test_a_learning_rate_on_the_device_stays_there(
    foreach: bool | None, fake: FakeTensorMode
) -> None:
    param = on_cuda()
    optimizer = AdaBelief([param], capturable=True, foreach=foreach, weight_decay=0.1)
    optimizer.param_groups[0]["lr"] = torch.empty((), device="cuda")
    optimizer.param_groups[0]["betas"] = (
        torch.empty((), device="cuda"),
        torch.empty((), device="cuda"),
    )
    with Devices():
        optimizer.step()


@both_paths
def test_options_on_the_host_are_brought_to_the_device(
    foreach: bool | None, fake: FakeTensorMode
) -> None:
    param = on_cuda()
    optimizer = AdaBelief([param], capturable=True, foreach=foreach)
    group = optimizer.param_groups[0]
    group["lr"], group["weight_decay"] = torch.empty(1), torch.empty(())
    group["betas"] = (torch.empty(()), torch.empty(1, 1))
    optimizer.step()
    assert param.device.type == "cuda"


@both_paths
def test_without_capturable_the_same_fake_learning_rate_is_looked_at(
    foreach: bool | None, fake: FakeTensorMode
) -> None:
    """The tests above can fail: this is how."""
    optimizer = AdaBelief([on_cuda()], foreach=foreach)
    optimizer.param_groups[0]["lr"] = torch.empty((), device="cuda")
    with pytest.raises(DataDependentOutputException):
        optimizer.step()


def test_a_host_count_on_cuda_parameters_needs_no_device_value_either(fake: FakeTensorMode) -> None:
    """Not capturable: t lives on the host, so an eager step on CUDA never waits for the device."""
    param = on_cuda()
    optimizer = AdaBelief([param])
    for _ in range(2):
        with Devices():
            optimizer.step()
    assert optimizer.state[param]["step"].device.type == "cpu"
    assert optimizer.state[param]["step"].item() == 2


def test_capturable_may_be_switched_on_and_off_in_the_middle() -> None:
    random = torch.Generator().manual_seed(0)
    param = normal(7)(random, torch.float64).requires_grad_()
    optimizer, oracle = AdaBelief([param], rectify=True), Oracle([param], traced=True)
    for t in range(STEPS):
        optimizer.param_groups[0]["capturable"] = t % 4 in (1, 2)
        param.grad = normal(7)(random, torch.float64)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], {"rectify": True})


def test_the_count_of_steps_moves_to_the_device_when_capturable_is_switched_on(
    fake: FakeTensorMode,
) -> None:
    param = on_cuda()
    optimizer = AdaBelief([param])
    optimizer.step()
    optimizer.param_groups[0]["capturable"] = True
    optimizer.step()
    assert optimizer.state[param]["step"].device.type == "cuda"


@pytest.mark.parametrize("capturable", [False, True])
def test_loading_puts_the_count_where_the_checkpoints_group_wants_it(
    capturable: bool, fake: FakeTensorMode
) -> None:
    old, new = on_cuda(), on_cuda()
    saver, loader = AdaBelief([old], capturable=capturable), AdaBelief([new])
    saver.step()
    loader.load_state_dict(saver.state_dict())
    assert loader.state[new]["step"].device.type == ("cuda" if capturable else "cpu")
    loader.step()


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize(("origin", "target"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_moves_between_host_and_device(
    origin: str, target: str, capturable: bool, fake: FakeTensorMode
) -> None:
    old, new = (torch.empty(3, device=device) for device in (origin, target))
    for param in (old, new):
        param.grad = torch.empty_like(param)
    saver = AdaBelief([old], capturable=capturable, amsgrad=True)
    loader = AdaBelief([new], capturable=capturable, amsgrad=True)
    saver.step()
    loader.load_state_dict(saver.state_dict())
    loader.step()
    devices = {name: value.device.type for name, value in loader.state[new].items()}
    assert devices.pop("step") == (target if capturable else "cpu")
    assert set(devices.values()) == {target}
    assert {value.device.type for value in saver.state[old].values()} <= {origin, "cpu"}


def test_a_graph_is_not_captured_with_a_count_that_the_host_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two questions to CUDA are answered by the test, as there is no device to ask."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    param = torch.ones(2)
    param.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="capturable must be True to capture"):
        AdaBelief([param]).step()
    assert torch.equal(param, torch.ones(2))
    AdaBelief([param], capturable=True).step()
    assert not torch.equal(param, torch.ones(2))


@pytest.mark.parametrize("beta2", [0.999, 0.9999, 0.99999, 0.8])
def test_rectification_starts_at_the_right_step_in_float32(beta2: float) -> None:
    """ρ₅ = 5 − 4·10⁻⁵ for β₂ = 0.99999: as a difference of numbers near 2·10⁵ it is lost."""
    random = torch.Generator().manual_seed(0)
    param = normal(7)(random, torch.float32).requires_grad_()
    options: dict[str, Any] = {"betas": (0.9, beta2), "rectify": True}
    optimizer = AdaBelief([param], capturable=True, **options)
    oracle = Oracle([param], traced=True)
    for _ in range(STEPS):
        param.grad = normal(7)(random, torch.float32)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)


def test_langevins_function_is_exact_on_both_sides_of_its_series() -> None:
    from adabelief.step.scalars import _langevin  # noqa: PLC0415, the only look inside

    x = torch.logspace(-6, 2, 2000, dtype=torch.float64)
    with mpmath.workdps(50):
        exact = [float(mpmath.coth(v) - 1 / mpmath.mpf(v)) for v in x.tolist()]
    for dtype in (torch.float64, torch.float32):
        # coth x and 1/x are below 4.1 at x = 1/4, where the series ends; three roundings each.
        error = (_langevin(x.to(dtype)).double() - torch.tensor(exact, dtype=torch.float64)).abs()
        rounded = x * torch.finfo(dtype).eps / 2 / 3  # of the argument; Λ' ≤ 1/3
        assert (error <= 30 * torch.finfo(dtype).eps / 2 + rounded).all()
        small = x < 0.25
        relative = (error / torch.tensor(exact, dtype=torch.float64))[small]
        assert relative.max() < 8 * torch.finfo(dtype).eps
