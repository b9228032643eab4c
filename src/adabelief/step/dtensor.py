"""Parameters that are spread over processes (DTensor): their local parts, and what needs the whole.

The update is elementwise, so each process updates its own part of parameter and state in place,
without communication and without DTensor's dispatch of every operation.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from adabelief.kernels.abi import PLAIN_TYPES

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

    from adabelief.feasible import FeasibleSet
    from adabelief.step.projection import Projection


def local(tensor: Any, param: Any) -> Tensor:
    """The part of `tensor` that lies beside this process's part of `param`; plain ones as is.

    Raises:
        RuntimeError: one of the two is sharded and the other one is not.
    """
    if not is_sharded(param):
        if is_sharded(tensor):
            msg = "a parameter that is no DTensor has a gradient or state that is one"
            raise RuntimeError(msg)
        return tensor
    if not is_sharded(tensor):
        msg = (
            f"a DTensor parameter with placements {param.placements} has a gradient or state that "
            "is a plain tensor; load state by torch.distributed.checkpoint.state_dict"
        )
        raise RuntimeError(msg)
    if tensor.placements != param.placements:  # tensor parallel gradients may be partial sums
        tensor = tensor.redistribute(placements=param.placements)
    return tensor.to_local()


def shaped_as(part: Tensor, like: Any) -> Tensor:
    """This process's part of a tensor, as a tensor sharded as `like`; as is if that is plain."""
    if not is_sharded(like):
        return part
    from torch.distributed.tensor import DTensor  # noqa: PLC0415, optional

    where = {"shape": like.shape, "stride": like.stride()}
    return DTensor.from_local(part, like.device_mesh, like.placements, run_check=False, **where)


def offset(param: Any) -> int:
    """Where this process's part begins in the whole, counted in elements; 0 for plain tensors.

    Random bits are numbered from here: parts that are rows, next to each other in memory, are then
    rounded as the whole would be. Parts that are not get numbers that differ between processes.
    """
    if not is_sharded(param):
        return 0
    place: int = 0
    coordinates = param.device_mesh.get_coordinate() or ()
    cuts = [
        (placement.dim, index, size)
        for placement, index, size in zip(
            param.placements, coordinates, param.device_mesh.shape, strict=True
        )
        if placement.is_shard()
    ]
    if len(cuts) == 1 and cuts[0][0] == 0:
        _, index, size = cuts[0]
        rows = -(-param.shape[0] // size)  # as torch.chunk cuts
        return min(index * rows, param.shape[0]) * (param.numel() // max(param.shape[0], 1))
    for _, index, size in cuts:
        place = place * size + index
    return place * 0x9E3779B9 & 0xFFFFFFFF


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor, without the import of torch.distributed.tensor."""
    return type(tensor) not in PLAIN_TYPES and hasattr(tensor, "placements")


def projection(feasible_set: FeasibleSet, param: Tensor) -> Projection:
    """The projection of a parameter's local part.

    Sets that say so (`elementwise`) and sets of rows that lie whole in each process are projected
    where they are. Every other one is gathered: the set sees the whole tensor, in each process.
    """
    if not is_sharded(param) or _local_suffices(feasible_set, param):
        return feasible_set.project
    return _gathered(feasible_set, param)  # type: ignore[arg-type]


def _local_suffices(feasible_set: FeasibleSet, param: Any) -> bool:
    if getattr(feasible_set, "elementwise", False):
        return True
    dim = getattr(feasible_set, "dim", None)
    if dim is None or not is_dataclass(feasible_set):
        return False
    # A centre or a normal with a value for each element would have to be cut as well.
    if any(isinstance(getattr(feasible_set, f.name), Tensor) for f in fields(feasible_set)):
        return False
    rows = {d % param.ndim for d in ((dim,) if isinstance(dim, int) else dim)}
    cut = {p.dim % param.ndim for p in param.placements if hasattr(p, "dim")}
    return not rows & cut


def _gathered(feasible_set: FeasibleSet, param: DTensor) -> Projection:
    from torch.distributed.tensor import DTensor, distribute_tensor  # noqa: PLC0415, optional

    mesh, placements = param.device_mesh, param.placements

    def whole(part: Tensor) -> Tensor:
        shape, stride = param.shape, param.stride()
        sharded = DTensor.from_local(part, mesh, placements, shape=shape, stride=stride)
        return sharded.full_tensor()

    def project(point: Tensor, metric: Tensor) -> Tensor:
        found = feasible_set.project(whole(point), whole(metric))
        # src_data_rank=None: every process has computed the same and keeps its own part.
        return distribute_tensor(found, mesh, placements, src_data_rank=None).to_local()

    return project
