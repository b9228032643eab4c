"""What stays in `param.grad` when the gradient was freed: it says why there is none.

A None would let clipping, a GradScaler or an all-reduce pass over the parameter in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

ACCUMULATION = (
    "gradients of several backward passes cannot be summed, each would be a step of its own; "
    "call optimizer.step() after each backward, take larger batches, and freeze parameters that "
    "a loss is not to train"
)
SCALER = (
    "a GradScaler can neither unscale it nor leave the step out if it is not finite; train in "
    "bfloat16, which needs no scaler"
)
AVERAGE = (
    "it cannot be averaged over processes any more; torch.distributed.fsdp.fully_shard does that "
    "before the gradient is used"
)
# By a part of the operation's name in ATen: why it cannot be done, and what to do instead.
REASONS: Mapping[str, str] = {
    "norm": (
        "a norm of all gradients cannot be had after backward, nor clipping by it; clip each "
        "gradient by itself, in param.register_hook, or the update, by AdaBelief's clip_update"
    ),
    "clamp": (
        "it cannot be clipped any more; clip it in param.register_hook, before it is used, or the "
        "update, by AdaBelief's clip_update"
    ),
    "_amp_": SCALER,
    "mul.out": AVERAGE,  # DistributedDataParallel, into its bucket
    "c10d": AVERAGE,
    "add": ACCUMULATION,
    "": "what needs it must be done before, in param.register_hook, or without release_gradients",
}


class ReleasedGradient(Tensor):
    """Stands in `param.grad` for a gradient that was freed; of its shape and dtype, no memory."""

    parameter: str

    @staticmethod
    def __new__(cls, param: Tensor, parameter: str) -> ReleasedGradient:
        """Make the placeholder of `param`, which is called `parameter` in messages."""
        made: ReleasedGradient = Tensor._make_wrapper_subclass(
            cls, param.shape, dtype=param.dtype, device=param.device
        )
        made.parameter = parameter
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub forgets cls and func
        cls,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse every operation."""
        found = torch.utils._pytree.tree_leaves((args, kwargs))
        name = next(each.parameter for each in found if isinstance(each, cls))
        reason = next(reason for part, reason in REASONS.items() if part in str(func))
        msg = f"{func} on the gradient of {name}, which release_gradients used and freed: {reason}"
        raise RuntimeError(msg)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"ReleasedGradient({self.parameter})"
