"""Verify and time everything on a GPU in one go, for whoever has one: we have none.

    python benchmarks/cuda.py                 # from a checkout, with the package installed
    python benchmarks/cuda.py --only verify
    python benchmarks/cuda.py --interpret     # the verification on the CPU, by Triton's interpreter

Prints what it finds, and writes all of it to cuda.json, which we would like to have (docs/cuda.md).
Exits with 0 if every check passed, else (and without a GPU) with 1.
"""

# ruff: noqa: E402, the environment is read by imports
from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Python looks beside a script first, where torch would find this file for NVIDIA's package `cuda`.
sys.path[:] = [path for path in sys.path if Path(path).resolve() != HERE]
sys.path.insert(0, str(HERE.parent / "tests" / "support"))  # the oracle and the cases
if "--interpret" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported

import torch
from torch import Tensor, nn

import adabelief
from adabelief import AdaBelief
from adabelief.kernels import cpu
from adabelief.step import fused_cuda, paths
from adabelief_lab.bench.models import MODELS, model
from cases import BY_NAME, CASES, SHAPES, as_param, normal
from oracle import Oracle

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# (parameters, state_dtype, master)
FORMATS = [
    (dtype, state_dtype, master_weights)
    for dtype in (torch.float32, torch.bfloat16, torch.float16)
    for state_dtype in (None, "bfloat16", "8bit")
    for master_weights in ((None, "split", "stochastic") if dtype == torch.bfloat16 else (None,))
]
STEPS = 8  # rectification starts at the sixth


@dataclass
class Run:
    """Where things run, and what was found.

    Args:
        device: of the parameters.
        few: only some of the cases: the interpreter takes a second for a step.
    """

    device: torch.device
    few: bool
    launches: int = 0
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def interpreted(self) -> bool:
        """Whether the kernel is interpreted, on the CPU."""
        return self.device.type == "cpu"

    @property
    def sizes(self) -> Sequence[int]:
        """One element, a tile and its neighbours, several tiles, and one more than 2¹⁶ programs."""
        return (
            (1, 257, 1025) if self.few else (1, 255, 256, 257, 1023, 1024, 1025, 70_000, 2**26 + 1)
        )

    def cases(self) -> Iterator[tuple[Any, torch.dtype]]:
        """Which cases of tests/cases.py, in which dtypes."""
        for case in CASES:
            for dtype in DTYPES:
                wanted = (case.name, dtype) in FEW
                if wanted or not self.few:
                    yield case, dtype

    def made(self, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> list[Tensor]:
        """Random parameters."""
        generator = torch.Generator().manual_seed(1)
        found = [normal(*shape)(generator, dtype).to(self.device) for shape in shapes]
        return [each.requires_grad_() for each in found]

    def follow(
        self,
        optimizer: AdaBelief,
        params: Sequence[Tensor],
        options: Mapping[str, Any],
        steps: int,
        *,
        traced: bool = False,
        step: Callable[[], Any] | None = None,
    ) -> None:
        """Steps with random gradients, each equal to the reference within its derived bound."""
        generator = torch.Generator().manual_seed(2)
        oracle = Oracle([param.detach().cpu() for param in params], traced=traced)
        for _ in range(steps):
            for param in params:
                grad = as_param(normal(*param.shape)(generator, param.dtype).to(param), param)
                if param.grad is None:
                    param.grad = grad
                else:
                    param.grad.copy_(grad)  # where it is: a graph was captured with it
            (step or optimizer.step)()
            self.compare(oracle, optimizer, params, options)

    def compare(
        self,
        oracle: Oracle,
        optimizer: AdaBelief,
        params: Sequence[Tensor],
        options: Mapping[str, Any],
    ) -> None:
        """The reference does the step that was done, and both are compared."""
        grads = [param.grad.cpu() for param in params if param.grad is not None]
        states = [
            {name: value.cpu() for name, value in optimizer.state[param].items()}
            for param in params
        ]
        oracle.expect(grads, [param.detach().cpu() for param in params], states, options)


FEW = {
    ("plain", torch.float32), ("all at once", torch.float32), ("plain", torch.bfloat16),
    ("all at once", torch.float64), ("rectify, clip", torch.float16),
}  # fmt: skip


def check_reference(run: Run) -> None:
    """Every option in every dtype against the reference."""
    for case, dtype in run.cases():
        params = run.made([(size,) for size in run.sizes if size < 2**20], dtype)
        run.follow(AdaBelief(params, fused=True, **case.options), params, case.options, STEPS)


def check_large(run: Run) -> None:
    """One tensor of many programs, equal to what foreach makes of it."""
    (size,) = [max(run.sizes)]
    one, other = run.made([(size,)], torch.float32), run.made([(size,)], torch.float32)
    for params, fused in ((one, True), (other, False)):
        optimizer = AdaBelief(params, fused=fused, foreach=not fused)
        for t in range(3):
            params[0].grad = torch.cos(torch.arange(size, device=run.device) * 0.1 + t)
            optimizer.step()
    # Ten roundings of numbers below 8, steps of 1e-3.
    torch.testing.assert_close(one[0], other[0], rtol=1e-6, atol=1e-6)


def check_capturable(run: Run) -> None:
    """Scalars that the host does not know, eagerly."""
    for case, dtype in run.cases():
        params = run.made([(size,) for size in run.sizes if size < 2**20], dtype)
        optimizer = AdaBelief(params, fused=True, capturable=True, **case.options)
        run.follow(optimizer, params, case.options, STEPS, traced=True)


def check_graph(run: Run) -> None:
    """A captured step, replayed with new gradients, while other work takes and frees memory."""
    for name in ("plain", "all at once"):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            options = BY_NAME[name].options
            params = run.made([(5,), (1025,), (70_000,)], dtype)
            optimizer = AdaBelief(params, fused=True, capturable=True, **options)
            for param in params:
                param.grad = torch.zeros_like(param)
            replay = captured(optimizer, params)
            run.follow(optimizer, params, options, STEPS, traced=True, step=replay)


def captured(optimizer: AdaBelief, params: Sequence[Tensor]) -> Callable[[], None]:
    """A step as a CUDA graph, from the state as it is now; the gradients stay where they are."""
    before = [param.detach().clone() for param in params]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # compiles, makes state
            optimizer.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    with torch.no_grad():
        for param, old in zip(params, before, strict=True):
            param.copy_(old)
            for value in optimizer.state[param].values():
                value.zero_()

    def replay() -> None:
        # What was freed after the capture is now somebody else's: on the device, and pinned.
        others = [torch.full((n,), -1, dtype=torch.int64) for n in (7, 64, 1024, 4096)]
        kept = [other.pin_memory().to("cuda", non_blocking=True) for other in others]
        graph.replay()
        torch.cuda.synchronize()
        del kept

    return replay


def check_learning_rate(run: Run) -> None:
    """A tensor lr on the device changes between the replays of a graph."""
    params = run.made([(1025,), (3,)], torch.float32)
    lr = torch.tensor(0.5, device=run.device)
    optimizer = AdaBelief(params, lr=lr, fused=True, capturable=True)
    for param in params:
        param.grad = torch.zeros_like(param)
    replay = captured(optimizer, params)
    oracle = Oracle([param.detach().cpu() for param in params], traced=True)
    for t in range(4):
        lr.fill_(2.0**-t)
        for param in params:
            assert param.grad is not None
            param.grad.normal_()
        replay()
        run.compare(oracle, optimizer, params, {"lr": 2.0**-t})


def check_bits(run: Run) -> None:
    """Small state and masters: every stored bit is that of the C kernel on the CPU."""
    reason = cpu.unavailable()
    if reason is not None:
        raise RuntimeError(reason)
    for capturable in (False, True):
        for dtype, state_dtype, master_weights in FORMATS:
            options: dict[str, Any] = {
                "state_dtype": state_dtype,
                "master_weights": master_weights,
                "weight_decay": 0.1,
                "lr": 0.01,
            }
            shapes = [(size,) for size in run.sizes if size < 2**20]
            here, there = run.made(shapes, dtype), run.made(shapes, dtype)
            there = [param.detach().cpu().clone().requires_grad_() for param in there]
            one = AdaBelief(here, fused=True, capturable=capturable, **options)
            other = AdaBelief(there, fused=True, **options)
            generator = torch.Generator().manual_seed(3)
            for _ in range(3):
                for a, b in zip(here, there, strict=True):
                    b.grad = normal(*b.shape)(generator, dtype)
                    a.grad = b.grad.to(a.device)
                one.step()
                with in_c():
                    other.step()
            for a, b in zip(here, there, strict=True):
                pairs = [(a.detach(), b.detach())]
                pairs += [(one.state[a][name], other.state[b][name]) for name in other.state[b]]
                for got, wanted in pairs:
                    # Scalars made on the device are rounded to float32 more often than on the host.
                    compare_stored(got.cpu(), wanted, exact=not capturable)


def compare_stored(got: Tensor, wanted: Tensor, *, exact: bool) -> None:
    """Equal; or hardly ever different, where a rounding at random may go the other way."""
    assert got.dtype == wanted.dtype
    if exact:
        differ = int((got != wanted).sum())
        assert not differ, f"{differ} of {got.numel()} differ in {got.dtype}"
    elif got.is_floating_point():
        torch.testing.assert_close(got.float(), wanted.float(), rtol=2**-6, atol=1e-6)
        if got.dtype != torch.float32:
            assert (got != wanted).float().mean() < 0.01 + 2 / got.numel()


def check_layouts(run: Run) -> None:
    """Views, channels_last, offsets that are not aligned, what is not dense: all follow."""
    for name in ("plain", "all at once"):
        generator = torch.Generator().manual_seed(4)
        made = [make(generator, torch.float32) for make in SHAPES.values()]
        params = [as_leaf(each, run.device) for each in made]
        options = BY_NAME[name].options
        run.follow(AdaBelief(params, fused=True, **options), params, options, 3)


def as_leaf(tensor: Tensor, device: torch.device) -> Tensor:
    """The same view of the same memory, there."""
    base = tensor._base if tensor._base is not None else tensor
    size, stride, offset = tensor.size(), tensor.stride(), tensor.storage_offset()
    moved = base.detach().to(device)
    return moved.as_strided(size, stride, offset).detach().requires_grad_()


def check_scaler(run: Run) -> None:
    """GradScaler: steps are skipped where a gradient is infinite, and unscaled elsewhere."""
    torch.manual_seed(0)
    scaler = torch.amp.GradScaler(run.device.type, init_scale=1024.0)
    (param,) = run.made([(300,)], torch.float32)
    optimizer = AdaBelief([param], fused=True, lr=0.1)
    oracle = Oracle([param.detach().cpu()])
    for t in range(4):
        grad = torch.randn(300, device=run.device)
        optimizer.zero_grad()
        factor = torch.where(torch.arange(300, device=run.device) == 7, torch.inf, 1.0)
        loss = (param * grad * (factor if t == 1 else 1.0)).sum()
        torch.autograd.backward(scaler.scale(loss))
        before = param.detach().clone()
        scaler.step(optimizer)
        scaler.update()
        if t == 1:
            assert torch.equal(param, before), "a step with infinite gradients was not skipped"
            continue
        param.grad = grad  # powers of two: unscaling is exact
        run.compare(oracle, optimizer, [param], {"lr": 0.1})


def check_compile(run: Run) -> None:
    """torch.compile(optimizer.step): one graph of foreach, whatever `fused` says."""
    backend = "eager" if run.interpreted else "inductor"
    for fused in (None, True):
        torch._dynamo.reset()
        params = run.made([(5,), (300,)], torch.float32)
        options = BY_NAME["all at once"].options
        optimizer = AdaBelief(params, fused=fused, **options)
        step = torch.compile(optimizer.step, backend=backend)
        run.follow(optimizer, params, options, 4, traced=True, step=step)


def check_checkpoint(run: Run) -> None:
    """Saved in 8 bits, loaded, and gone on with, equal to not having stopped."""
    made = [run.made([(300,), (1025,)], torch.bfloat16) for _ in range(2)]
    options: dict[str, Any] = {"state_dtype": "8bit", "master_weights": "split", "fused": True}
    one, other = (AdaBelief(params, **options) for params in made)
    for t in range(4):
        for a, b in zip(*made, strict=True):
            a.grad = torch.cos(torch.arange(a.numel(), device=run.device) * 0.1 + t).to(a.dtype)
            b.grad = a.grad.clone()
        one.step()
        other.step()
        if t == 1:
            state, params = other.state_dict(), [b.detach().clone() for b in made[1]]
            made[1][:] = [param.requires_grad_() for param in params]
            other = AdaBelief(made[1], **options)
            other.load_state_dict(state)
    for a, b in zip(*made, strict=True):
        assert torch.equal(a, b)


CHECKS: Sequence[Callable[[Run], None]] = (
    check_reference, check_large, check_capturable, check_graph, check_learning_rate, check_bits,
    check_layouts, check_scaler, check_compile, check_checkpoint,
)  # fmt: skip
NEED_A_GPU = (check_graph, check_learning_rate)
NOT_LAUNCHED = (check_compile,)  # by design: compiled steps are foreach


def verify(run: Run, wanted: Sequence[str]) -> bool:
    """Every check, or those wanted; what fails is noted and the next one runs."""
    launch = fused_cuda.launch

    def counted(*args: Any) -> None:
        run.launches += 1
        launch(*args)

    setattr(fused_cuda, "launch", counted)  # noqa: B010, mypy minds the signature
    for check in CHECKS:
        if wanted and check.__name__.removeprefix("check_") not in wanted:
            continue
        name, start = check.__name__.removeprefix("check_"), time.perf_counter()
        found: dict[str, Any] = {"check": name, "what": (check.__doc__ or "").strip()}
        run.launches = 0
        if run.interpreted and check in NEED_A_GPU:
            found["outcome"] = "needs a GPU"
        else:
            try:
                check(run)
                synchronize(run.device)
                launched = run.launches > 0
                assert launched or check in NOT_LAUNCHED, "the kernel was not launched"
                found["outcome"] = "passed"
            except Exception:
                found.update(outcome="FAILED", error=traceback.format_exc())
        found.update(seconds=round(time.perf_counter() - start, 1), launches=run.launches)
        run.checks.append(found)
        print(f"{found['outcome']:12} {name:14} {found['what']} ({found['launches']} launches)")
        print(found.get("error", ""), end="", flush=True)
    fused_cuda.launch = launch
    return all(found["outcome"] != "FAILED" for found in run.checks)


def synchronize(device: torch.device) -> None:
    """Errors of the device come to light here."""
    if device.type == "cuda":
        torch.cuda.synchronize()


@contextmanager
def in_c() -> Iterator[None]:
    """Steps on the CPU run in C, also where the interpreter stands for the GPU."""
    before = fused_cuda.DEVICE, paths.cpu_kernel_applies
    fused_cuda.DEVICE, paths.cpu_kernel_applies = "cuda", APPLIES
    try:
        yield
    finally:
        fused_cuda.DEVICE, paths.cpu_kernel_applies = before


APPLIES = paths.cpu_kernel_applies


def interpret() -> None:
    """Let CPU tensors take the way of CUDA tensors."""
    fused_cuda.DEVICE = "cpu"
    paths.cpu_kernel_applies = lambda group: False


# Times. Not one of these has been run on a GPU by us either.

Make = Callable[[list[nn.Parameter]], Any]


def ours(**options: Any) -> Make:
    """One of our ways."""
    return lambda params: AdaBelief(params, lr=1e-6, **options).step


def theirs(kind: str, **options: Any) -> Make:
    """One of torch's optimizers."""
    return lambda params: getattr(torch.optim, kind)(params, lr=1e-6, **options).step


def compiled(make: Make) -> Make:
    """The same step by torch.compile."""
    return lambda params: torch.compile(make(params))


def as_graph(make: Make) -> Make:
    """The same step as a CUDA graph."""

    def graphed(params: list[nn.Parameter]) -> Any:
        step = make(params)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    return graphed


BASELINE = "Adam fused"
CANDIDATES: Mapping[str, Make] = {
    BASELINE: theirs("Adam", fused=True),
    "Adam foreach": theirs("Adam", foreach=True),
    "Adam fused, graph": as_graph(theirs("Adam", fused=True, capturable=True)),
    "loop": ours(foreach=False, fused=False),
    "foreach": ours(foreach=True),
    "foreach, compiled": compiled(ours(foreach=True)),
    "foreach, graph": as_graph(ours(foreach=True, capturable=True)),
    "fused": ours(fused=True),
    "fused, graph": as_graph(ours(fused=True, capturable=True)),
    "fused, bfloat16 state": ours(fused=True, state_dtype="bfloat16"),
    "fused, 8-bit state": ours(fused=True, state_dtype="8bit"),
}
COMPILED_TENSORS = 150  # more take inductor many minutes


def milliseconds(step: Callable[[], Any], repeats: int, device: torch.device) -> float:
    """Of one step: on the device's clock, which does not see what the host does meanwhile."""
    if device.type != "cuda":
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        return (time.perf_counter() - start) * 1e3 / repeats
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    for _ in range(repeats):
        step()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / repeats


def prepare(params: list[nn.Parameter], run: Run) -> tuple[dict[str, Any], dict[str, str]]:
    """The candidates' steps, warmed up; and why others are not among them."""
    steps: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for candidate, make in CANDIDATES.items():
        if "compiled" in candidate and (len(params) > COMPILED_TENSORS or run.interpreted):
            errors[candidate] = "not tried: takes inductor too long"
            continue
        try:
            step = make(params)
            for _ in range(3):
                step()
            synchronize(run.device)
            steps[candidate] = step
        except Exception:
            errors[candidate] = traceback.format_exc()
    return steps, errors


def measure(name: str, rounds: int, run: Run) -> dict[str, Any]:
    """Milliseconds of each candidate's steps on one model, interleaved; medians of ratios."""
    shapes = model(name).shapes
    params = [nn.Parameter(torch.randn(shape, device=run.device) * 0.02) for shape in shapes]
    for param in params:
        param.grad = torch.randn_like(param) * 1e-3
    steps, errors = prepare(params, run)
    repeats = max(1, 50_000_000 // max(model(name).parameters, 1_000_000))
    if run.interpreted:
        repeats = 1
    times: dict[str, list[float]] = {candidate: [] for candidate in steps}
    for _ in range(rounds):
        for candidate in random.sample(list(steps), len(steps)):
            times[candidate].append(milliseconds(steps[candidate], repeats, run.device))
    base = times.get(BASELINE, [])
    ratios = {
        candidate: statistics.median(t / b for t, b in zip(own, base, strict=True))
        for candidate, own in times.items()
        if base
    }
    return {"model": name, "milliseconds": times, "ratios": ratios, "errors": errors}


def show(found: Mapping[str, Any]) -> None:
    """One model's table."""
    print(f"\n{model(found['model']).title}")
    print(f"{'':24}{'ms':>9}{'/ ' + BASELINE:>14}{'GB/s of 28 B':>14}")
    for candidate, own in found["milliseconds"].items():
        median = statistics.median(own)
        rate = 28 * model(found["model"]).parameters / median / 1e6
        ratio = found["ratios"].get(candidate, float("nan"))
        print(f"{candidate:24}{median:9.3f}{ratio:14.2f}{rate:14.0f}")
    for candidate, error in found["errors"].items():
        print(f"{candidate:24}{error.splitlines()[-1]}")
    sys.stdout.flush()


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers are of."""
    import triton  # noqa: PLC0415, after TRITON_INTERPRET is set

    facts: dict[str, Any] = {
        "adabelief": adabelief.__version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": triton.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    if device.type == "cuda":
        own = torch.cuda.get_device_properties(device)
        facts.update(gpu=own.name, capability=[own.major, own.minor], memory=own.total_memory)
        facts.update(multiprocessors=own.multi_processor_count)
    return facts


def main() -> int:
    """Verify, measure, write; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--interpret", action="store_true", help="verify on the CPU")
    parser.add_argument("--only", choices=["verify", "time"])
    names = [check.__name__.removeprefix("check_") for check in CHECKS]
    parser.add_argument("--checks", nargs="+", choices=names, default=[], help="only these")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("cuda.json"))
    given = parser.parse_args()
    if not given.interpret and not torch.cuda.is_available():
        print("no CUDA device is available here, so there is nothing to verify or time")
        print("--interpret runs the verification on the CPU, by Triton's interpreter")
        return 1
    reason = fused_cuda.unavailable()
    if reason is not None:
        print(reason)
        return 1
    run = Run(torch.device("cpu" if given.interpret else "cuda"), few=given.interpret)
    if given.interpret:
        interpret()
    record: dict[str, Any] = {"machine": machine(run.device), "checks": run.checks, "times": []}
    print(json.dumps(record["machine"]))
    good = given.only == "time" or verify(run, given.checks)
    # Times of the interpreter mean nothing; they can be asked for, to try this very code.
    if given.only == "time" or not (given.interpret or given.only):
        for name in given.models:
            record["times"].append(measure(name, given.rounds, run))
            show(record["times"][-1])
    given.output.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{'all checks passed' if good else 'SOME CHECKS FAILED'}; written to {given.output}")
    print("please send it to us: docs/cuda.md")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
