"""Extractors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch

from adabelief_lab.common.errors import LabError
from adabelief_lab.features import efficientnet, inception, lenet
from adabelief_lab.features.extractor import Extractor, Name

_LOADERS: Mapping[Name, Callable[[torch.device], Extractor]] = {
    "lenet": lenet.load,
    "efficientnet": efficientnet.load,
    "inception": inception.load,
}

# Without loading any.
LABELS: Mapping[str, str] = {
    "lenet": lenet.LABEL,
    "efficientnet": efficientnet.LABEL,
    "inception": inception.LABEL,
}


@lru_cache(maxsize=2)
def load(name: Name, device: torch.device = torch.device("cpu")) -> Extractor:  # noqa: B008
    """The extractor of that name, once a process.

    Raises:
        MissingDataError: its weights are the user's, and are not here.
        LabError: they are others than they should be, or a package is missing.
    """
    if name not in _LOADERS:
        msg = f"features must be of {', '.join(_LOADERS)}, got {name!r}"
        raise LabError(msg)
    return _LOADERS[name](device)
