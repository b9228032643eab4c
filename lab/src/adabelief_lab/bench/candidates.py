"""The candidates: torch's Adam and AdamW, other AdaBeliefs, our paths, and memory itself."""

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

from adabelief import AdaBelief

# So small that thousands of steps hardly move the parameters; the arithmetic is the same.
LR = 1e-6


class Stepper(Protocol):
    """What is timed: an optimizer, or what has its `step`."""

    def step(self) -> Any:
        """Do one update of every parameter."""


Make = Callable[[list[nn.Parameter]], Stepper]


@dataclass(frozen=True)
class Candidate:
    """One row of a table.

    Args:
        name: for `--against` and the record.
        title: for tables.
        kind: who wrote it; "ceiling" is no optimizer.
        make: makes it from parameters that have gradients.
        near: whether its time is near the baseline's: then it runs in all rounds, and beside the
            ceiling.
        dtype: of its parameters.
        state: bytes of state per parameter at most, to plan what fits into memory.
    """

    name: str
    title: str
    kind: Literal["torch", "peer", "ours", "ceiling"]
    make: Make
    near: bool = False
    dtype: torch.dtype = torch.float32
    state: float = 8


class Ceiling:
    """Only the memory's work of a step: p += e·g, m += e·g, s += e, read and written once.

    These are 28 bytes for each parameter, as in the float32 step. No optimizer that keeps m and s
    in float32 can be faster than the machine moves them.
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


BASELINE, OURS, CEILING = "adam-fused", "fused", "ceiling"
_SMALL: dict[str, Any] = {"fused": True, "state_dtype": "bfloat16"}
_BF16: dict[str, Any] = {"near": True, "dtype": torch.bfloat16}

CANDIDATES = {
    candidate.name: candidate
    for candidate in (
        Candidate(BASELINE, "Adam, fused", "torch", _of_torch("Adam", fused=True), near=True),
        Candidate(OURS, "fused", "ours", _ours(fused=True), near=True),
        Candidate(CEILING, "memory ceiling", "ceiling", Ceiling, near=True),
        Candidate("default", "default", "ours", _ours(), near=True),
        Candidate("bf16-state", "fused, bf16 state", "ours", _ours(**_SMALL), near=True, state=4),
        Candidate(
            "8bit-state", "fused, 8-bit state", "ours", _ours(fused=True, state_dtype="8bit"),
            near=True, state=3.1,
        ),
        Candidate(
            "bf16-split", "fused, bf16 θ and state, split", "ours",
            _ours(**_SMALL, master_weights="split"), state=6, **_BF16,
        ),
        Candidate(
            "bf16-stochastic", "fused, bf16 θ and state, stochastic", "ours",
            _ours(**_SMALL, master_weights="stochastic"), state=4, **_BF16,
        ),
        Candidate(
            "adamw-fused", "AdamW, fused", "torch", _of_torch("AdamW", fused=True), near=True,
        ),
        Candidate("loop", "loop", "ours", _ours(foreach=False, fused=False)),
        Candidate("foreach", "foreach", "ours", _ours(foreach=True, fused=False)),
        Candidate("adam-foreach", "Adam, foreach", "torch", _of_torch("Adam", foreach=True)),
        Candidate("adam-single", "Adam, single", "torch", _of_torch("Adam", foreach=False)),
        Candidate("adamw-foreach", "AdamW, foreach", "torch", _of_torch("AdamW", foreach=True)),
        Candidate("adamw-single", "AdamW, single", "torch", _of_torch("AdamW", foreach=False)),
        Candidate(
            "adabelief-pytorch", "adabelief-pytorch", "peer",
            _of_peer("adabelief_pytorch", print_change_log=False),
        ),
        Candidate("timm", "timm", "peer", _of_peer("timm.optim")),
        Candidate("timm-foreach", "timm, foreach", "peer", _of_peer("timm.optim", foreach=True)),
        Candidate("pytorch-optimizer", "pytorch_optimizer", "peer", _of_peer("pytorch_optimizer")),
        Candidate(
            "pytorch-optimizer-single", "pytorch_optimizer, single", "peer",
            _of_peer("pytorch_optimizer", foreach=False),
        ),
    )
}  # fmt: skip
INSTALL = "pip install adabelief-pytorch pytorch_optimizer timm"


def why_not(candidate: Candidate) -> str:
    """Why a candidate cannot run here, "" if it can: it does two steps on one small tensor."""
    param = nn.Parameter(torch.ones(4, dtype=candidate.dtype))
    param.grad = torch.ones_like(param)
    try:
        stepper = candidate.make([param])
        stepper.step()
        stepper.step()
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        ours = missing.startswith("adabelief.")
        return str(error) if ours else f"{missing} is not installed: {INSTALL}"
    except (ImportError, RuntimeError, ValueError) as error:
        return str(error).splitlines()[0]
    return ""


def candidates(names: Sequence[str]) -> list[Candidate]:
    """Those of these names in the table's order, always with the baseline, ours and the ceiling.

    Raises:
        ValueError: no candidate has that name; the message lists all names.
    """
    for name in names:
        if name not in CANDIDATES:
            close = difflib.get_close_matches(name.lower(), CANDIDATES, n=3)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            msg = f"unknown candidate {name!r}: {hint}choose from {', '.join(CANDIDATES)}"
            raise ValueError(msg)
    wanted = {*names, BASELINE, OURS, CEILING, "default"} if names else set(CANDIDATES)
    return [candidate for name, candidate in CANDIDATES.items() if name in wanted]


def title(name: str) -> str:
    """A candidate's title; the name itself if only a record knows it."""
    known = CANDIDATES.get(name)
    if known is None:
        return name
    return f"AdaBelief, {known.title}" if known.kind == "ours" else known.title


def kind(name: str) -> str:
    """Who wrote the candidate: "torch", "peer", "ours" or "ceiling"."""
    return CANDIDATES[name].kind if name in CANDIDATES else "peer"
