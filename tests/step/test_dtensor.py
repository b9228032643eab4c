"""What can be projected or updated in one process, and what is refused: one rank is enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from adabelief import AdaBelief
from adabelief.feasible import Box, FeasibleSet, Halfspace, L2Ball, NonNegative, Simplex
from adabelief.step.dtensor import local, projection


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceMesh]:
    file = tmp_path_factory.mktemp("store") / "file"
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def cut(mesh: DeviceMesh, dim: int | None, *size: int) -> DTensor:
    placement = Replicate() if dim is None else Shard(dim)
    return distribute_tensor(torch.ones(size or (4, 6)), mesh, [placement])


class Counting:
    """A set that is not elementwise and counts how it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def project(self, point: Tensor, metric: Tensor) -> Tensor:
        del metric
        self.asked += 1
        return point


@pytest.mark.parametrize(
    ("feasible_set", "dim", "together"),
    [
        (Box(-1, 1), 0, True),
        (NonNegative(), 1, True),
        (Box(torch.zeros(6), 1.0), 0, False),  # the bounds would have to be cut as well
        (L2Ball(1.0), 0, False),
        (L2Ball(1.0), None, False),  # no matter: it is gathered without communication
        (Simplex(dim=1), 0, True),
        (Simplex(dim=-1), 0, True),
        (Simplex(dim=1), 1, False),
        (Simplex(dim=-1), 1, False),
        (Simplex(dim=(0, 1)), 0, False),
        (L2Ball(1.0, center=torch.zeros(6), dim=1), 0, False),
        (Halfspace(torch.ones(6), 1.0, dim=1), 0, False),
        (Halfspace(1.0, 1.0, dim=1), 0, True),
        (Counting(), 0, False),
    ],
    ids=repr,
)
def test_a_set_is_asked_where_the_shard_is_only_if_that_is_enough(
    feasible_set: FeasibleSet, dim: int | None, together: bool, mesh: DeviceMesh
) -> None:
    found = projection(feasible_set, cut(mesh, dim))
    assert (found == feasible_set.project) is together


def test_a_plain_parameter_is_projected_as_it_is() -> None:
    own = Counting()
    assert projection(own, torch.ones(3)) == own.project


def test_the_gathered_projection_is_that_of_the_whole(mesh: DeviceMesh) -> None:
    param, ball = cut(mesh, 0), L2Ball(0.5)
    point, metric = torch.randn(4, 6), torch.rand(4, 6)
    assert torch.equal(projection(ball, param)(point, metric), ball.project(point, metric))


def test_gradients_of_another_placement_are_brought_to_the_parameters(mesh: DeviceMesh) -> None:
    param = cut(mesh, 0)
    for placement in (Replicate(), Shard(1), Partial()):
        grad = DTensor.from_local(torch.full((4, 6), 2.0), mesh, [placement])
        assert torch.equal(local(grad, param), torch.full((4, 6), 2.0))


@pytest.mark.parametrize("which", ["plain state", "sharded state"])
def test_state_that_is_not_spread_as_its_parameter_is_refused(which: str, mesh: DeviceMesh) -> None:
    sharded, plain = cut(mesh, 0), torch.ones(4, 6)
    param, other = (sharded, plain) if which == "plain state" else (plain, sharded)
    param.grad = torch.ones_like(param)
    optimizer = AdaBelief([param])
    optimizer.step()
    before = param.clone()
    state: Any = optimizer.state[param]
    state["exp_avg"] = torch.zeros_like(other)
    if which == "plain state":
        with pytest.raises(RuntimeError, match=r"load state by torch\.distributed\.checkpoint"):
            optimizer.step()
        assert torch.equal(param.to_local(), before.to_local())  # type: ignore[attr-defined]
        assert state["step"] == 1
    else:
        with pytest.raises(RuntimeError, match="no DTensor has a gradient or state that is one"):
            local(other, param)


def test_a_step_on_shards_does_not_dispatch_on_dtensor(mesh: DeviceMesh) -> None:
    """Storage is shared: what is written to the part is in the DTensor."""
    param = cut(mesh, 0)
    whole = torch.ones(4, 6)
    for one in (param, whole):
        one.grad = torch.full_like(one, 0.5)
        AdaBelief([one], lr=0.1).step()
    assert torch.equal(param.to_local(), whole)
    assert torch.equal(param.full_tensor(), whole)
