"""Feasible sets in the optimizer: every path equals the reference with the same projection."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from adabelief import AdaBelief, reference
from adabelief.feasible import (
    Box,
    FeasibleSet,
    Halfspace,
    Hyperplane,
    L1Ball,
    L2Ball,
    NonNegative,
    Simplex,
)
from cases import BY_NAME, STEPS, normal
from oracle import Oracle

Array = NDArray[np.float64]

SETS: dict[str, FeasibleSet] = {
    "Box": Box(-0.5, torch.full((6,), 0.75)),
    "NonNegative": NonNegative(),
    "L2Ball": L2Ball(0.5),
    "L2Ball of rows": L2Ball(0.5, dim=1),
    "L1Ball": L1Ball(1.0, dim=-1),
    "Simplex": Simplex(1.0, dim=1),
    "Hyperplane": Hyperplane(torch.linspace(0.5, 1.5, 6), 0.25, dim=1),
    "Halfspace": Halfspace(torch.ones(6), -0.25, dim=1),
}
PATHS: dict[str, dict[str, Any]] = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "capturable": {"capturable": True, "foreach": False},
    "capturable foreach": {"capturable": True, "foreach": True},
    "differentiable": {"differentiable": True},
}
every_set = pytest.mark.parametrize("name", SETS)
every_path = pytest.mark.parametrize("path", PATHS)


def as_numpy(feasible_set: FeasibleSet) -> reference.Projection:
    """The set's own projection on arrays: test_feasible_exact compares it with independent ones."""

    def project(point: Array, metric: Array) -> Array:
        shaped = torch.from_numpy(np.asarray(point)), torch.from_numpy(np.asarray(metric))
        return np.asarray(feasible_set.project(*shaped).numpy())

    return project


class Recording:
    """A user's own set: what it is asked is kept, and the point comes back as it is.

    Its length makes it falsy before the first step; it is a set nevertheless.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Tensor, Tensor]] = []

    def __len__(self) -> int:
        return len(self.asked)

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        self.asked.append((point.clone(), metric.clone()))
        return point


@every_path
@pytest.mark.parametrize(
    "case", ["plain", "decoupled", "amsgrad", "rectify", "no bias correction", "all at once"]
)
def test_the_projection_gets_the_step_of_the_reference_and_the_metric(case: str, path: str) -> None:
    """Point and metric √ŝ, both as in the reference, which projects onto ℝⁿ here."""
    random = torch.Generator().manual_seed(0)
    options = BY_NAME[case].options
    param = normal(7)(random, torch.float64)
    state = reference.initial(param.numpy().copy())
    own = Recording()
    optimizer = AdaBelief([param], feasible_set=own, **PATHS[path], **options)
    wanted: list[tuple[Array, Array]] = []

    def keep(point: Array, metric: Array) -> Array:
        wanted.append((point, metric))
        return point

    for _ in range(STEPS):
        param.grad = normal(7)(random, torch.float64)
        optimizer.step()
        state = reference.adabelief(state, param.grad.numpy(), project=keep, **options)
    assert len(own.asked) == STEPS
    for (point, metric), (true_point, true_metric) in zip(own.asked, wanted, strict=True):
        # test_parity bounds the point by 1e-13 to 1e-9 of a step; the root has half s's error.
        np.testing.assert_allclose(point.numpy(), true_point, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(metric.numpy(), true_metric, rtol=1e-12)


@every_path
@every_set
def test_every_set_follows_the_reference(name: str, path: str) -> None:
    """Float64, ten steps: an error grows by a projection at most by the metric's spread."""
    random = torch.Generator().manual_seed(1)
    params = [normal(4, 6)(random, torch.float64) for _ in range(2)]
    states = [reference.initial(param.numpy().copy()) for param in params]
    options: dict[str, Any] = {"lr": 0.1, "eps": 1e-8}
    optimizer = AdaBelief(params, feasible_set=SETS[name], **PATHS[path], **options)
    for _ in range(STEPS):
        for i, param in enumerate(params):
            param.grad = normal(4, 6)(random, torch.float64)
            states[i] = reference.adabelief(
                states[i], param.grad.numpy(), project=as_numpy(SETS[name]), **options
            )
        optimizer.step()
        for param, state in zip(params, states, strict=True):
            # √ŝ spreads over less than 1e3 here: 1e-13 a step, times that, times ten.
            np.testing.assert_allclose(param.detach().numpy(), state.param, rtol=0, atol=1e-9)
            exp_avg_var = optimizer.state[param]["exp_avg_var"].detach().numpy()
            np.testing.assert_allclose(exp_avg_var, state.exp_avg_var, rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@every_path
@every_set
def test_the_constraint_holds_after_every_step(name: str, path: str, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(2)
    param = normal(4, 6)(random, dtype)
    optimizer = AdaBelief([param], lr=0.3, feasible_set=SETS[name], **PATHS[path])
    for _ in range(STEPS):
        param.grad = normal(4, 6)(random, dtype)
        optimizer.step()
        point = param.detach().double()
        again = SETS[name].project(point, torch.ones_like(point))
        # Half precision rounds the projected point once more: half an ulp of each element.
        off = torch.finfo(dtype).eps * (1 + point.abs().sum())
        assert (again - point).abs().max() <= off


@every_path
def test_groups_have_sets_of_their_own(path: str) -> None:
    params = [torch.full((3,), 2.0) for _ in range(3)]
    groups: list[dict[str, Any]] = [
        {"params": [params[0]], "feasible_set": Box(-1.0, 1.0)},
        {"params": [params[1]], "feasible_set": None},
        {"params": [params[2]]},
    ]
    optimizer = AdaBelief(groups, feasible_set=L2Ball(0.5), **PATHS[path])
    for param in params:
        param.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(params[0], torch.ones(3))
    assert bool((params[1] > 1.9).all())
    assert params[2].norm() == pytest.approx(0.5, rel=1e-6)


@every_set
def test_a_set_is_in_the_checkpoint_and_in_copies(name: str) -> None:
    random = torch.Generator().manual_seed(3)
    param = normal(4, 6)(random, torch.float32)
    optimizer = AdaBelief([param], lr=0.3, feasible_set=SETS[name])
    param.grad = normal(4, 6)(random, torch.float32)
    optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = param.clone()
    loaded = AdaBelief([other], lr=0.1)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    copied = copy.deepcopy(optimizer)
    grad = normal(4, 6)(random, torch.float32)
    for one in (optimizer, loaded, copied):
        one.param_groups[0]["params"][0].grad = grad
        one.step()
    assert torch.equal(param, other)
    assert torch.equal(param, copied.param_groups[0]["params"][0])


@pytest.fixture
def dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:Profiler record function")
@pytest.mark.usefixtures("dynamo")
@pytest.mark.parametrize("foreach", [True, False])
@every_set
def test_a_compiled_step_projects_too(name: str, foreach: bool) -> None:
    random = torch.Generator().manual_seed(4)
    params = [normal(4, 6)(random, torch.float64) for _ in range(2)]
    params[1] = params[0].clone()
    optimizers = [
        AdaBelief([param], lr=0.3, feasible_set=SETS[name], foreach=foreach) for param in params
    ]
    compiled = torch.compile(optimizers[0].step, backend="eager", fullgraph=True)
    for _ in range(3):
        grad = normal(4, 6)(random, torch.float64)
        for param in params:
            param.grad = grad
        compiled()
        optimizers[1].step()
    torch.testing.assert_close(params[0], params[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("foreach", [True, False])
@every_set
def test_a_capturable_projection_asks_the_device_for_nothing(name: str, foreach: bool) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        param = torch.empty(4, 6, device="cuda")
        param.grad = torch.empty_like(param)
        AdaBelief([param], feasible_set=SETS[name], capturable=True, foreach=foreach).step()
        assert param.device.type == "cuda"


def test_a_box_is_clipping_after_the_step() -> None:
    """Whatever the metric: so WGAN's weight clipping is `feasible_set=Box(-0.01, 0.01)`."""
    random = torch.Generator().manual_seed(5)
    param = normal(50)(random, torch.float32) * 0.01
    clipped = param.clone()
    inside, after = AdaBelief([param], feasible_set=Box(-0.01, 0.01)), AdaBelief([clipped])
    for _ in range(STEPS):
        param.grad = clipped.grad = normal(50)(random, torch.float32)
        inside.step()
        after.step()
        clipped.clamp_(-0.01, 0.01)
        assert torch.equal(param, clipped)


def test_half_precision_is_projected_in_float32() -> None:
    asked = Recording()
    param = torch.ones(3, dtype=torch.bfloat16)
    param.grad = torch.ones(3, dtype=torch.bfloat16)
    AdaBelief([param], feasible_set=asked).step()
    assert [tensor.dtype for tensor in asked.asked[0]] == [torch.float32, torch.float32]


def test_without_a_set_no_metric_is_made() -> None:
    """The oracle covers the numbers; this covers that None is no constraint in a group either."""
    param = torch.full((3,), 5.0, dtype=torch.float64)
    optimizer, oracle = AdaBelief([param], feasible_set=None), Oracle([param])
    for _ in range(3):
        param.grad = torch.ones(3, dtype=torch.float64)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], {})


def test_complex_parameters_are_refused_and_the_optimizer_stays_as_it_was() -> None:
    with pytest.raises(ValueError, match=r"needs real parameters, got torch\.complex64"):
        AdaBelief([torch.ones(2, dtype=torch.complex64)], feasible_set=NonNegative())
    optimizer = AdaBelief([torch.ones(2)], feasible_set=NonNegative())
    with pytest.raises(ValueError, match="needs real parameters"):
        optimizer.add_param_group({"params": [torch.ones(2, dtype=torch.complex64)]})
    assert len(optimizer.param_groups) == 1
    wide = {"params": [torch.ones(2, dtype=torch.complex64)], "feasible_set": None}
    optimizer.add_param_group(wide)


def test_sparse_gradients_are_refused_with_the_reason() -> None:
    param = torch.ones(3, 2)
    param.grad = torch.eye(3)[:, :2].to_sparse()
    optimizer = AdaBelief([param], feasible_set=Recording())
    with pytest.raises(RuntimeError, match="the projection needs the rows without a gradient"):
        optimizer.step()


@pytest.mark.parametrize("wrong", [1.0, "Box", Box, object()])
def test_what_is_no_set_is_refused(wrong: Any) -> None:
    """Box is a class: it has `project` too, but it is no set before it has its bounds."""
    with pytest.raises(
        TypeError, match=r"feasible_set must be None or have project\(point, metric"
    ):
        AdaBelief([torch.ones(1)], feasible_set=wrong)
