"""Train and eval modes of a model, put back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def preserve_train_mode(model: nn.Module) -> Iterator[None]:
    """Whatever is done within, every submodule ends in the mode that it has now."""
    before = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        # Not model.train(): it would thaw what the user keeps in evaluation mode.
        for module, mode in before.items():
            module.training = mode
