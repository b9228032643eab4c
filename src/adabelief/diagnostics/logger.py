"""Look at the belief now and then during training, and hand the numbers to any logger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch.optim import Optimizer

from adabelief.diagnostics.inspection import measure_groups
from adabelief.diagnostics.measures import Measures
from adabelief.diagnostics.samples import over_all

Log = Callable[[Mapping[str, float], int], None]

# Elements of all parameters together: quantiles of so many are within two percentage points.
FEW = 4096


class SummaryWriter(Protocol):
    """TensorBoard's usual interface."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Note one number."""


class BeliefLogger:
    """Logs `scalars` of the groups after every `every`-th step of the optimizer.

    Args:
        optimizer: an AdaBelief.
        to: a function of (numbers by name, step), or a SummaryWriter.
        every: steps between two looks; the first comes after the first `every` steps.
        prefix: before every name.

    Raises:
        ValueError: every is below 1.

    Example:
        >>> import torch, adabelief
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = adabelief.AdaBelief(model.parameters())
        >>> seen = []
        >>> logger = BeliefLogger(optimizer, lambda numbers, step: seen.append(step), every=2)
        >>> for _ in range(5):
        ...     model(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> logger.close()
        >>> seen
        [2, 4]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        to: Log | SummaryWriter,
        every: int = 100,
        prefix: str = "belief/",
    ) -> None:
        if every < 1:
            msg = f"every must be at least 1, got {every}"
            raise ValueError(msg)
        self._to, self._every, self._prefix = to, every, prefix
        self._steps = 0
        self._handle = optimizer.register_step_post_hook(self._look)

    def close(self) -> None:
        """Look no more."""
        self._handle.remove()

    def _look(self, optimizer: Optimizer, *_: Any) -> None:
        self._steps += 1
        if self._steps % self._every:
            return
        samples = over_all(optimizer, FEW)  # nobody reads single parameters
        if not samples:
            return
        groups = measure_groups(samples)
        step = max(group.step for group in groups)
        numbers = {self._prefix + name: value for name, value in scalars(groups).items()}
        if callable(self._to):
            self._to(numbers, step)
        else:
            for name, value in numbers.items():
                self._to.add_scalar(name, value, step)


def scalars(groups: Sequence[Measures]) -> dict[str, float]:
    """A few numbers a group: "group 0/at_floor" and so on; without those that are unknown."""
    found = {}
    for group in groups:
        numbers = {
            "step_size": group.step_size[2],
            "at_floor": group.at_floor,
            "sgd_lr": group.sgd_lr,
            "adaptivity": group.adaptivity,
            "large_step": group.large_step,
            "cos_gradient": group.cos_gradient,
            "cos_sign": group.cos_sign,
            "update_to_weight": group.update_to_weight,
        }
        for key, value in numbers.items():
            if value is not None:
                found[f"{group.name}/{key}"] = value
    return found
