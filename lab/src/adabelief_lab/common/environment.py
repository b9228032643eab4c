"""What a run's numbers were made with: versions, commit, processor, threads."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adabelief_lab.common.code_version import commit


def environment() -> dict[str, Any]:
    """Facts that may change a number: they go with every result.

    The commit only where the package runs from a checkout, the GPU only where one was used.
    """
    return {
        "adabelief": version("adabelief"),
        **({"commit": found} if (found := commit()) else {}),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_initialized() else {}),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
