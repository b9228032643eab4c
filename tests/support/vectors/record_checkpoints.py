"""Record what other libraries save and how they go on, for tests/checkpoint/test_translation.py.

Each library is installed into a directory of its own, and only its optimizer is imported:

    pip install --no-deps --target DIR adabelief-pytorch==0.2.1     # and so on, see LIBRARIES
    python tests/support/vectors/record_checkpoints.py adabelief-pytorch==0.2.1=DIR ...

adabelief-pytorch also needs tabulate and colorama. A file LIBRARY.pt maps a case to
its arguments, its parameters and state_dict after `before` steps, and its parameters after each
of the next 20 steps; all cases meet the same gradients, which are in gradients.pt.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FOLDER = Path(__file__).with_name("checkpoints")
SHAPES = ((2, 3), (), (2,))  # the first is group 0, the others are group 1
AFTER = 20
LONGEST = 8

# What only says how to import: the packages whose __init__ would import the whole library.
LIBRARIES = {
    "adabelief-pytorch==0.2.1": ("adabelief_pytorch.AdaBelief", ("adabelief_pytorch",)),
    "timm==1.0.31": ("timm.optim.adabelief", ("timm", "timm.optim")),
    "pytorch_optimizer==4.1.0": (
        "pytorch_optimizer.optimizer.adabelief",
        ("pytorch_optimizer", "pytorch_optimizer.optimizer", "pytorch_optimizer.optimizer.utils"),
    ),
}

# Both groups say everything that a group may say; a case changes what is named in it.
GROUPS = (
    {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-16},
    {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-14},
)
DECAYS = ({"weight_decay": 0.1}, {"weight_decay": 0.3})
COMMON: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain, eps 1e-3": {"groups": ({"eps": 1e-3}, {"eps": 1e-2})},
    "decoupled": {"groups": DECAYS, "weight_decouple": True},
    "fixed": {"groups": DECAYS, "weight_decouple": True, "fixed_decay": True},
    "coupled": {"groups": DECAYS, "weight_decouple": False, "fixed_decay": True},
    "amsgrad": {"groups": ({"amsgrad": True, "eps": 1e-3}, {"amsgrad": False})},
    "rectify": {"rectify": True},
    "rectify, warming up": {"rectify": True, "before": 2},
}
LATER: dict[str, dict[str, Any]] = {
    "rectify, amsgrad": {"rectify": True, "groups": ({"amsgrad": True}, {})},
    "rectify, eps 1e-3": {"rectify": True, "groups": ({"eps": 1e-3}, {"eps": 1e-3})},
    "rectify, no SGD": {"rectify": True, "degenerated_to_sgd": False, "before": 2},
}
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "adabelief-pytorch==0.2.1": {**COMMON, **LATER},
    "timm==1.0.31": {
        "defaults": {"groups": DECAYS, "rectify": None, "weight_decouple": None},
        **COMMON,
        **LATER,
    },
    "pytorch_optimizer==4.1.0": {
        "defaults": {"groups": DECAYS, "rectify": None, "weight_decouple": None},
        **COMMON,
        **LATER,
        "maximize": {"maximize": True, "groups": DECAYS, "weight_decouple": False},
        "late": {"late": 4},
        "never yet": {"late": 8},
        "adam_debias": {"adam_debias": True},
        "adanorm": {"adanorm": True},
    },
}
SPELLINGS = {  # of the authors' words, elsewhere
    "timm==1.0.31": {"weight_decouple": "decoupled_decay"},
    "pytorch_optimizer==4.1.0": {"amsgrad": "ams_bound"},
}


def optimizer_class(library: str, folder: Path) -> type[torch.optim.Optimizer]:
    """The library's AdaBelief, without running the __init__ of its packages."""
    module, packages = LIBRARIES[library]
    root = packages[0]
    for name in [name for name in sys.modules if name == root or name.startswith(f"{root}.")]:
        del sys.modules[name]
    for name in packages:
        package: Any = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    found: type[torch.optim.Optimizer] = importlib.import_module(module).AdaBelief
    return found


def spelled(library: str, options: dict[str, Any]) -> dict[str, Any]:
    names = SPELLINGS.get(library, {})
    return {names.get(name, name): value for name, value in options.items()}


def split(row: Tensor) -> list[Tensor]:
    """One row of numbers as tensors of SHAPES."""
    sizes = [torch.Size(shape).numel() for shape in SHAPES]
    parts = torch.split(row, sizes)
    return [part.reshape(shape).clone() for part, shape in zip(parts, SHAPES, strict=True)]


def join(params: Sequence[Tensor]) -> Tensor:
    return torch.cat([param.detach().flatten() for param in params])


def record(
    library: str, build: type[torch.optim.Optimizer], case: dict[str, Any], grads: Tensor
) -> dict[str, Any]:
    """Run one case; `late` is the step before which the last parameter has no gradient."""
    options = {"rectify": False, **case}
    before, late = options.pop("before", LONGEST - 1), options.pop("late", 0)
    changes = options.pop("groups", ({}, {}))
    arguments = spelled(library, {k: v for k, v in options.items() if v is not None})
    own = [{**one, **other} for one, other in zip(GROUPS, changes, strict=True)]
    params = [param.requires_grad_() for param in split(grads[-1] + 1)]
    own[0]["params"], own[1]["params"] = params[:1], params[1:]
    with contextlib.redirect_stdout(io.StringIO()):
        optimizer = build([spelled(library, group) for group in own], **arguments)
    saved: dict[str, Any] = {}
    start, rows = torch.empty(0), []
    for step in range(before + AFTER):
        if step == before:
            saved, start = copy.deepcopy(optimizer.state_dict()), join(params).clone()
        for param, grad in zip(params, split(grads[step]), strict=True):
            param.grad = grad
        if step < late:
            params[-1].grad = None
        optimizer.step()
        rows.append(join(params).clone())
    return {
        "arguments": arguments,
        "before": before,
        "optimizer": saved,
        "start": start,
        "trajectory": torch.stack(rows[before:]),
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    random = torch.Generator().manual_seed(0)
    size = sum(torch.Size(shape).numel() for shape in SHAPES)
    noise = torch.randn(LONGEST + AFTER, size, generator=random, dtype=torch.float64)
    grads = noise + torch.linspace(-1, 1, size, dtype=torch.float64)
    torch.save(grads, FOLDER / "gradients.pt")
    for argument in sys.argv[1:]:
        library, _, folder = argument.rpartition("=")
        build = optimizer_class(library, Path(folder))
        cases = {name: record(library, build, case, grads) for name, case in CASES[library].items()}
        torch.save(cases, FOLDER / f"{library}.pt")


if __name__ == "__main__":
    main()
