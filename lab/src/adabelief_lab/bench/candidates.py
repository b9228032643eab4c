"""Who is measured: torch's Adam and AdamW, other AdaBeliefs, our paths, and the memory itself."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from adabelief.optimizer import AdaBelief

# So small that parameters stay what they are over thousands of steps; the arithmetic is the same.
LR = 1e-6


class Stepper(Protocol):
    """What is timed: an optimizer, or what has its `step`."""

    def step(self) -> Any:
        """Do one update of every parameter."""


Make = Callable[[list[nn.Parameter]], Stepper]


@dataclass(frozen=True)
class Contender:
    """One row of a table.

    Args:
        name: for `--against` and the record.
        title: for tables.
        kind: whose it is; "ceiling" is no optimizer.
        make: from parameters that have gradients.
        near: its time is near the baseline's: it runs in all rounds, and beside the ceiling.
        dtype: of its parameters.
        state: bytes of state per parameter, at most; for planning only.
    """

    name: str
    title: str
    kind: Literal["torch", "peer", "ours", "ceiling"]
    make: Make
    near: bool = False
    dtype: torch.dtype = torch.float32
    state: float = 8


class Ceiling:
    """Nothing but the memory's work of a step: p += e·g, m += e·g, s += e, read and written once.

    28 bytes for each parameter, as the float32 step; no optimizer that keeps m and s in float32
    can be faster than the machine moves these.
    """

    def __init__(self, params: Sequence[Tensor]) -> None:
        kernel = importlib.import_module("adabelief.kernels.cpu")
        if not hasattr(kernel, "traffic"):
            msg = "adabelief.kernels.cpu has no traffic"
            raise ImportError(msg)
        self._traffic: Callable[..., None] = kernel.traffic
        self._params = params
        self._data = [param.detach() for param in params]
        # Ones: additions to zero would make denormal numbers, which are a hundred times slower.
        self._exp_avgs = [torch.ones_like(data) for data in self._data]
        self._exp_avg_vars = [torch.ones_like(data) for data in self._data]

    def step(self) -> None:
        """Read and write what a step reads and writes."""
        grads = [param.grad for param in self._params]
        self._traffic(self._data, grads, self._exp_avgs, self._exp_avg_vars)


def _of_torch(name: str, **options: bool) -> Make:
    kind = getattr(torch.optim, name)
    return lambda params: kind(params, lr=LR, **options)


def _of_peer(module: str, **options: Any) -> Make:
    """Its AdaBelief, with Algorithm 2 as we have it: no rectification, no decay."""

    def make(params: list[nn.Parameter]) -> Stepper:
        # adabelief-pytorch prints what has changed since 0.0.5 whatever it is told.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = importlib.import_module(module).AdaBelief
            return kind(params, lr=LR, rectify=False, **options)

    return make


def _ours(**options: Any) -> Make:
    return lambda params: AdaBelief(params, lr=LR, **options)


BASELINE = "adam-fused"
CEILING = "ceiling"
OURS = "fused"
_half = torch.bfloat16
_small = {"fused": True, "state_dtype": "bfloat16"}
_tiny = {"fused": True, "state_dtype": "8bit"}

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(BASELINE, "Adam, fused", "torch", _of_torch("Adam", fused=True), near=True),
        Contender(OURS, "fused", "ours", _ours(fused=True), near=True),
        Contender(CEILING, "memory ceiling", "ceiling", Ceiling, near=True),
        Contender("default", "default", "ours", _ours(), near=True),
        Contender(
            "bf16-state", "fused, bf16 state", "ours", _ours(**_small),
            near=True, state=4,
        ),
        Contender(
            "8bit-state", "fused, 8-bit state", "ours", _ours(**_tiny),
            near=True, state=3.1,
        ),
        Contender(
            "bf16-split", "fused, bf16 θ and state, split", "ours",
            _ours(**_small, master_weights="split"), near=True, dtype=_half, state=6,
        ),
        Contender(
            "bf16-stochastic", "fused, bf16 θ and state, stochastic", "ours",
            _ours(**_small, master_weights="stochastic"), near=True, dtype=_half, state=4,
        ),
        Contender(
            "adamw-fused", "AdamW, fused", "torch", _of_torch("AdamW", fused=True), near=True,
        ),
        Contender("loop", "loop", "ours", _ours(foreach=False, fused=False)),
        Contender("foreach", "foreach", "ours", _ours(foreach=True, fused=False)),
        Contender("adam-foreach", "Adam, foreach", "torch", _of_torch("Adam", foreach=True)),
        Contender("adam-single", "Adam, single", "torch", _of_torch("Adam", foreach=False)),
        Contender("adamw-foreach", "AdamW, foreach", "torch", _of_torch("AdamW", foreach=True)),
        Contender("adamw-single", "AdamW, single", "torch", _of_torch("AdamW", foreach=False)),
        Contender(
            "adabelief-pytorch", "adabelief-pytorch", "peer",
            _of_peer("adabelief_pytorch", print_change_log=False),
        ),
        Contender("timm", "timm", "peer", _of_peer("timm.optim")),
        Contender("timm-foreach", "timm, foreach", "peer", _of_peer("timm.optim", foreach=True)),
        Contender("pytorch-optimizer", "pytorch_optimizer", "peer", _of_peer("pytorch_optimizer")),
        Contender(
            "pytorch-optimizer-single", "pytorch_optimizer, single", "peer",
            _of_peer("pytorch_optimizer", foreach=False),
        ),
    )
}  # fmt: skip

# The distributions that peers come from, for their versions.
PACKAGES = ("torch", "adabelief-pytorch", "timm", "pytorch_optimizer")
INSTALL = 'pip install "adabelief[bench]"'


def why_not(contender: Contender) -> str:
    """Why a contender cannot run here, "" if it can: it does two steps on one small tensor."""
    param = nn.Parameter(torch.ones(4, dtype=contender.dtype))
    param.grad = torch.ones_like(param)
    try:
        stepper = contender.make([param])
        stepper.step()
        stepper.step()
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        ours = missing.startswith("adabelief.")
        return str(error) if ours else f"{missing} is not installed: {INSTALL}"
    except (ImportError, RuntimeError, ValueError) as error:
        return str(error).splitlines()[0]
    return ""


def contenders(names: Sequence[str]) -> list[Contender]:
    """Those of these names in the table's order, always with the baseline, ours and the ceiling.

    Raises:
        ValueError: there is none of that name; the message has those there are.
    """
    for name in names:
        if name not in CONTENDERS:
            close = difflib.get_close_matches(name.lower(), CONTENDERS, n=3)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            msg = f"unknown contender {name!r}: {hint}choose from {', '.join(CONTENDERS)}"
            raise ValueError(msg)
    wanted = {*names, BASELINE, OURS, CEILING, "default"} if names else set(CONTENDERS)
    return [contender for name, contender in CONTENDERS.items() if name in wanted]
