"""What is the belief doing? Of a live optimizer, or of a checkpoint.

>>> import torch, adabelief
>>> from adabelief import diagnostics
>>> model = torch.nn.Linear(2, 1)
>>> optimizer = adabelief.AdaBelief(model.parameters())
>>> for _ in range(20):
...     model(torch.randn(8, 2)).square().mean().backward()
...     optimizer.step()
>>> found = diagnostics.optimizer(optimizer, model)
>>> found.whole.at_floor  # share of elements whose denominator is made by ε, not by the belief
0.0
>>> text = str(found)  # a table, and what is worth a sentence
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from adabelief.checkpoint.reading import Checkpoint
from adabelief.diagnostics.findings import Finding
from adabelief.diagnostics.inspection import Inspection
from adabelief.diagnostics.logger import BeliefLogger
from adabelief.diagnostics.measures import Measures
from adabelief.diagnostics.samples import SAMPLE, from_checkpoint, from_optimizer

__all__ = ["BeliefLogger", "Finding", "Inspection", "Measures", "checkpoint", "optimizer"]


def optimizer(
    optimizer: Optimizer, model: nn.Module | None = None, limit: int | None = SAMPLE
) -> Inspection:
    """Inspect a live AdaBelief, after a step and best before the gradients are zeroed.

    Args:
        optimizer: an AdaBelief that has done a step. Nothing of it is changed.
        model: whose names the parameters get.
        limit: elements of each parameter that are looked at, evenly spaced; None takes all.

    Raises:
        TypeError: it is no AdaBelief.
        ValueError: it has done no step, or limit is below 1.
    """
    return Inspection.of(from_optimizer(optimizer, model, limit))


def checkpoint(
    checkpoint: Checkpoint,
    source: str | None = None,
    names: Sequence[str] = (),
    limit: int | None = SAMPLE,
) -> Inspection:
    """Inspect an optimizer's state_dict, a training checkpoint, or a file of either.

    There are no gradients in it, and weights only with master_weights="split". Measures that
    need them are None.

    Args:
        checkpoint: of AdaBelief or of another library's, as `AdaBelief.from_checkpoint` takes it.
        source: which library wrote it; None tells it from the keys.
        names: of all parameters in the optimizer's order.
        limit: elements of each parameter that are looked at, evenly spaced; None takes all.

    Raises:
        ValueError: it cannot be read as an AdaBelief's, or holds no state.
        OSError: the file cannot be opened.
    """
    return Inspection.of(from_checkpoint(checkpoint, source, names, limit))
