"""Projections can be captured: one graph, no value asked of the device, no branch on data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

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

NORMAL = torch.tensor([1.0, -0.5, 0.0, 2.0])
SETS: list[FeasibleSet] = [
    Box(-0.5, 0.75),
    Box(-NORMAL.abs(), 1.0),
    NonNegative(),
    L2Ball(0.6, dim=1),
    L2Ball(0.6, center=NORMAL, dim=-1),
    L1Ball(1.2, dim=(0, 2)),
    L1Ball(2.0),
    Simplex(dim=1),
    Simplex(2.0),
    Hyperplane(NORMAL, 0.4, dim=1),
    Halfspace(NORMAL, 0.2, dim=-1),
]
every_set = pytest.mark.parametrize("feasible", SETS, ids=repr)


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def numbers(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    point = 2 * torch.randn(2, 3, 4, generator=random, dtype=torch.float64)
    metric = 10 ** (12 * torch.rand(2, 3, 4, generator=random, dtype=torch.float64) - 6)
    metric[0, 1, 2] = 0
    return point.to(dtype), metric.to(dtype)


def same(one: Tensor, two: Tensor) -> bool:
    """Equal to a few roundings: a compiler may add up in another order."""
    u = torch.finfo(one.dtype).eps
    return torch.allclose(one, two, rtol=4 * u, atol=64 * 2.0**-53)


@every_set
def test_the_projection_is_one_graph(feasible: FeasibleSet) -> None:
    """Dynamo refuses, with fullgraph, what would have to look at data."""
    if feasible in (SETS[3], SETS[7], SETS[9]):  # rows
        point, metric = (one[0] for one in numbers())
    else:
        point, metric = numbers()
    compiled = torch.compile(feasible.project, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert same(compiled(point, metric), feasible.project(point, metric))


def test_the_derivative_is_compiled_too() -> None:
    point, metric = numbers(torch.float64)
    for feasible in (L2Ball(0.6), L1Ball(1.2), Hyperplane(NORMAL, 0.4)):
        compiled = torch.compile(feasible.project, backend="aot_eager", fullgraph=True)
        one, two = point.clone().requires_grad_(), point.clone().requires_grad_()
        (left,) = torch.autograd.grad((compiled(one, metric) ** 2).sum(), one)
        (right,) = torch.autograd.grad((feasible.project(two, metric) ** 2).sum(), two)
        assert torch.allclose(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@every_set
def test_the_compiled_code_computes_the_same(feasible: FeasibleSet) -> None:
    dtype = torch.float64 if feasible is SETS[6] else torch.float32
    point, metric = (one[0] for one in numbers(dtype))
    if feasible is SETS[5]:
        point, metric = numbers(dtype)
    compiled = torch.compile(feasible.project, fullgraph=True)
    with torch.no_grad():
        assert same(compiled(point, metric), feasible.project(point, metric))
        point[0, 0] = torch.nan
        expected = feasible.project(point, metric)
        assert torch.equal(compiled(point, metric).isnan(), expected.isnan())


@every_set
def test_nothing_is_asked_of_a_cuda_device(feasible: FeasibleSet) -> None:
    """Fake CUDA tensors have no values: whatever reads one, or has a shape of it, raises."""
    for shape in [(5, 4), (4, 4, 4)]:
        if len(shape) != 2 and feasible in (SETS[3], SETS[7], SETS[9]):
            continue
        if len(shape) != 3 and feasible is SETS[5]:
            continue
        with FakeTensorMode(allow_non_fake_inputs=True):
            point = torch.empty(shape, device="cuda")
            metric = torch.empty(shape, device="cuda")
            result = feasible.project(point, metric)
            assert result.device.type == "cuda"
            assert result.shape == point.shape
            assert result.dtype is torch.float32


def test_a_fake_device_would_notice() -> None:
    with FakeTensorMode():
        point = torch.empty(3, device="cuda")
        with pytest.raises(Exception, match=r"item|data-dependent|_local_scalar_dense"):
            bool(point.sum() > 0)


@every_set
def test_functional_transforms_see_one_point_at_a_time(feasible: FeasibleSet) -> None:
    if not isinstance(feasible, Simplex | L1Ball | NonNegative) or feasible.dim is not None:
        return
    point, metric = numbers(torch.float64)
    together = torch.func.vmap(feasible.project)(point, metric)
    for one, y, w in zip(together, point, metric, strict=True):
        assert torch.allclose(one, feasible.project(y, w), rtol=1e-14)
