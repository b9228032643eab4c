"""The Triton kernel without a GPU: what is launched, that nothing waits, what the assembler says.

The launches are recorded on fake CUDA tensors, which have no values: what asks the device for one
raises. What was recorded is compiled for real GPUs; Triton brings the assembler along.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from adabelief.hyperparameters import Hyperparameters
from adabelief.kernels import triton_rows
from adabelief.low_precision.e5m3 import blocks
from adabelief.low_precision.random_bits import key
from adabelief.step import fused_cuda
from adabelief.step.scalars import coefficients, traced_coefficients
from adabelief.step.stored_state import Storage

triton = pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.backends.nvidia.compiler import get_ptxas  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402
from triton.runtime.jit import mangle_type  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:fused=True on CUDA is experimental")


class Recorder:
    """In place of the kernel: keeps what it was launched with."""

    tl = triton.language

    def __init__(self) -> None:
        self.launches: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    @property
    def step(self) -> Recorder:
        return self

    def __getitem__(self, grid: Any) -> Any:
        return lambda *args, **options: self.launches.append((grid, args, options))


class NoTransfers(TorchDispatchMode):  # type: ignore[misc]
    """Fails when something is copied to the host, or from it so that the host would wait."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            target = out if isinstance(out, Tensor) else args[0]
            ends = (args[1] if func is torch.ops.aten.copy_.default else args[0]).device.type
            if (ends, target.device.type) == ("cpu", "cuda"):
                assert (kwargs or {}).get("non_blocking"), f"{func} waits"
            assert (ends, target.device.type) != ("cuda", "cpu"), f"{func} to the host"
        return out


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Fake tensors pass for real ones, at addresses of their own; no stream captures."""
    recorder = Recorder()
    monkeypatch.setattr(fused_cuda, "kernel", lambda: recorder)
    monkeypatch.setattr(fused_cuda, "watched", lambda: False)
    # As under torch.set_default_device: what is to be on the host must say so.
    monkeypatch.setattr(fused_cuda, "_current", torch.device)
    monkeypatch.setattr(fused_cuda, "mark_changed", lambda params: None)
    monkeypatch.setattr(triton_rows, "PLAIN_TYPES", (FakeTensor,))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    addresses: dict[int, int] = {}
    monkeypatch.setattr(
        FakeTensor,
        "data_ptr",
        lambda self: addresses.setdefault(id(self), (len(addresses) + 1) << 32),
    )
    with FakeTensorMode():
        yield recorder


def group_of(**options: Any) -> dict[str, Any]:
    checked = Hyperparameters(**options)
    return {each.name: getattr(checked, each.name) for each in fields(checked)}


def launch(
    dtype: torch.dtype = torch.float32,
    state_dtype: str | None = None,
    master_weights: str | None = None,
    traced: bool = False,
    sizes: tuple[int, ...] = (4096, 5),
    **options: Any,
) -> None:
    """One step on fake CUDA tensors."""
    group = group_of(**options)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    first = torch.bfloat16 if state_dtype else wide
    second = torch.uint8 if state_dtype == "8bit" else first

    def made(dtype: torch.dtype) -> list[Tensor]:
        return [torch.empty(size, dtype=dtype, device="cuda") for size in sizes]

    exponents = [torch.empty(blocks(size), dtype=torch.uint8, device="cuda") for size in sizes]
    steps = [torch.empty((), device="cuda") for _ in sizes]
    step: Any = torch.empty((), dtype=torch.int64, device="cuda") if traced else 3
    storage = Storage(
        state_dtype,
        master_weights,
        exponents if state_dtype == "8bit" else (),
        made(torch.int16) if master_weights == "split" else (),
        [key(n, step) for n in range(len(sizes))]
        if state_dtype or master_weights == "stochastic"
        else (),
    )
    c = coefficients(group, 3)
    if traced:
        c = traced_coefficients(group, steps, torch.device("cuda"), wide)
    lists = made(dtype), made(dtype), made(first), made(second)
    most = made(first) if c.amsgrad else []
    with NoTransfers():
        assert fused_cuda.update(*lists, most, c, bounds=(-1, 1), storage=storage) == []


EVERYTHING: Mapping[str, Any] = {
    "amsgrad": True, "rectify": True, "weight_decay": 0.1, "decoupled_weight_decay": False,
    "clip_update": 0.5, "maximize": True,
}  # fmt: skip

# What may be launched, each another machine code.
LAUNCHES: Mapping[str, Mapping[str, Any]] = {
    "float32": {},
    "float32, everything": EVERYTHING,
    "float32, scalars on the device": {"traced": True, **EVERYTHING},
    "float64": {"dtype": torch.float64},
    "float64, scalars on the device": {"dtype": torch.float64, "traced": True},
    "bfloat16": {"dtype": torch.bfloat16},
    "float16": {"dtype": torch.float16},
    "bfloat16 state": {"state_dtype": "bfloat16", **EVERYTHING},
    "8-bit state": {"state_dtype": "8bit"},
    "8-bit state, split": {"dtype": torch.bfloat16, "state_dtype": "8bit", "master_weights":
    "split"}, "bfloat16 state, stochastic": {
        "dtype": torch.bfloat16, "state_dtype": "bfloat16", "master_weights": "stochastic",
    "traced": True, },
}  # fmt: skip


@pytest.mark.parametrize("name", LAUNCHES)
def test_no_launch_waits_for_the_device(name: str, recorder: Recorder) -> None:
    launch(**LAUNCHES[name])
    ((grid, args, options),) = recorder.launches
    assert grid == (5,)  # four tiles, and one of five elements
    assert options["ALIGNED"]
    assert not options["enable_fp_fusion"]
    tensors = [arg for arg in args if isinstance(arg, Tensor)]
    assert {tensor.device.type for tensor in tensors} == {"cuda"}
    assert all(tensor.is_contiguous() for tensor in tensors)


def test_the_same_in_a_graph_takes_nothing_from_memory_of_the_host(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a captured copy reads at its replay is what lies there by then."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)

    class OnDevice(NoTransfers):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = super().__torch_dispatch__(func, types, args, kwargs)
            devices = {x.device.type for x in (*args, out) if isinstance(x, Tensor)}
            assert "cpu" not in devices, func
            return out

    # Before the step: everything that is made for the test, and keys, which a real step makes
    # of its count on the device.
    with OnDevice():
        launch(**LAUNCHES["float64, scalars on the device"])
        launch(**LAUNCHES["bfloat16 state, stochastic"])
        launch(**LAUNCHES["8-bit state"])
    assert len(recorder.launches) == 3


@pytest.mark.parametrize("capturing", [False, True])
def test_numbers_arrive_on_the_device_as_they_are(
    capturing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The captured way is run on the CPU here: zeros, and what is not zero added by value."""
    import numpy as np  # noqa: PLC0415

    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    make = {name: getattr(torch, name) for name in ("zeros", "empty_like")}

    def on_cpu(name: str) -> Any:
        return lambda x, device=None, pin_memory=None, **rest: make[name](x, **rest)

    for name in make:
        monkeypatch.setattr(torch, name, on_cpu(name))
    to = Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda self, device, non_blocking: to(self, "cpu"))
    numbers = np.array([[0, 1, -1], [2**62 + 1, -(2**63), 140_737_488_355_327]], dtype=np.int64)
    for values in (numbers, numbers.T, np.array([0.0, -0.0, np.inf, -1e-300, np.pi])):
        found = fused_cuda.on_device(values, torch.device("cuda"))
        assert found.is_contiguous()
        assert found.numpy().tobytes() == np.ascontiguousarray(values).tobytes()
        assert found.shape == values.shape


def plain_step(lists: Sequence[list[Tensor]]) -> list[int]:
    params, grads, exp_avgs, exp_avg_vars = lists
    c = coefficients(group_of(), 1)
    return fused_cuda.update(params, grads, exp_avgs, exp_avg_vars, [], c)


def test_tensors_of_other_alignment_or_dtype_are_launched_by_themselves(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = [torch.empty(8, dtype=dtype, device="cuda") for dtype in (torch.float32,) * 3]
    params.append(torch.empty(8, dtype=torch.float16, device="cuda"))
    lists = [[torch.empty(8, device="cuda") for _ in params] for _ in range(3)]
    lists[0][1] = torch.empty(8, dtype=torch.bfloat16, device="cuda")
    shifted = params[2]
    aligned = FakeTensor.data_ptr
    monkeypatch.setattr(
        FakeTensor, "data_ptr", lambda tensor: aligned(tensor) + 8 * (tensor is shifted)
    )
    assert plain_step([params, *lists]) == []
    kinds = {
        (str(options["PARAM"]), str(options["GRAD"]), options["ALIGNED"])
        for _, _, options in recorder.launches
    }
    assert kinds == {
        ("fp32", "fp32", True), ("fp32", "bf16", True), ("fp32", "fp32", False),
        ("fp16", "fp32", True),
    }  # fmt: skip


def compiled(recorder: Recorder, capability: int) -> Any:
    """What was recorded last, compiled for a GPU as Triton would there."""
    from adabelief.kernels import triton_step  # noqa: PLC0415, not before Triton is known to be there

    _, args, options = recorder.launches[-1]
    names = triton_step.step.arg_names
    settings = {"num_warps": options.pop("num_warps")}
    settings["enable_fp_fusion"] = options.pop("enable_fp_fusion")
    signature = {name: mangle_type(arg) for name, arg in zip(names, args, strict=False)}
    signature |= dict.fromkeys(options, "constexpr")
    assert list(signature) == names
    divisible = {
        (i,): [["tt.divisibility", 16]]
        for i, kind in enumerate(signature.values())
        if kind.startswith("*")
    }
    source = ASTSource(triton_step.step, signature, constexprs=options, attrs=divisible)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=settings)


def resources(ptx: str, capability: int, folder: Path) -> dict[str, int]:
    """What the assembler says of registers and spills."""
    source = folder / "step.ptx"
    source.write_text(ptx)
    (gpu,) = re.findall(r"\.target (\w+)", ptx)
    command = [get_ptxas(capability).path, "-v", f"--gpu-name={gpu}", str(source)]
    done = subprocess.run(
        [*command, "-o", str(folder / "step.cubin")], capture_output=True, text=True, check=True
    )
    said = re.findall(r"(\d+) bytes (spill stores|spill loads)", done.stderr)
    said += re.findall(r"Used (\d+) (registers)", done.stderr)
    return {name: int(number) for number, name in said}


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Triton keeps nothing from earlier runs."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def assert_compiles(recorder: Recorder, name: str, capability: int, folder: Path) -> None:
    launch(**LAUNCHES[name])
    with torch._C._DisableTorchDispatch():
        made = compiled(recorder, capability)
    ptx = made.asm["ptx"]
    assert made.asm["cubin"].startswith(b"\x7fELF")
    used = resources(ptx, capability, folder)
    assert used["spill stores"] == used["spill loads"] == 0
    # 65,536 registers for programs of 256 threads: four of them run at once, or two.
    plain = LAUNCHES[name].get("dtype", torch.float32) == torch.float32 and "state" not in name
    assert 0 < used["registers"] <= (64 if plain else 96)
    # Sixteen bytes at a time for float32 where all of the tile is there, eight for half precision.
    loaded, stored = traffic(**LAUNCHES[name])
    assert vectors(ptx, "ld") == loaded
    assert vectors(ptx, "st") == stored
    # IEEE arithmetic: what the interpreter computes is what the GPU computes.
    assert not re.search(r"\b(fma|mad)\.\w*\.?f(32|64)", ptx)
    assert not re.search(r"\.(approx|full|ftz)", ptx)
    assert re.search(r"sqrt\.rn", ptx)
    assert re.search(r"div\.rn", ptx)


def vectors(ptx: str, what: str) -> Counter[str]:
    """How many loads or stores of more than four bytes there are, of each width."""
    return Counter(re.findall(rf"{what}\.global\.(v\d\.b\d+)", ptx))


WIDTHS = {8: {"v2.b64": 2}, 4: {"v4.b32": 1}, 2: {"v2.b32": 1}, 1: {}}  # of four elements


def traffic(
    dtype: torch.dtype = torch.float32,
    state_dtype: str | None = None,
    master_weights: str | None = None,
    amsgrad: bool = False,
    **_: Any,
) -> tuple[Counter[str], Counter[str]]:
    """Vectors of a thread's four elements: of every array once, the gradient only read."""
    first = 2 if state_dtype else 8 if dtype == torch.float64 else 4
    written = [dtype.itemsize, first, 1 if state_dtype == "8bit" else first]
    written += [first] * amsgrad + [2] * (master_weights == "split")
    loaded, stored = Counter(WIDTHS[dtype.itemsize]), Counter[str]()
    for size in written:
        loaded += Counter(WIDTHS[size])
        stored += Counter(WIDTHS[size])
    return loaded, stored


ARCHITECTURES = (80, 90, 100, 120)


@pytest.mark.parametrize("capability", ARCHITECTURES)
def test_plain_steps_compile_for_every_architecture(
    capability: int, recorder: Recorder, cold: Path
) -> None:
    assert_compiles(recorder, "float32", capability, cold)


@pytest.mark.parametrize(("number", "name"), list(enumerate(LAUNCHES)))
def test_every_launch_compiles_for_some_architecture(
    number: int, name: str, recorder: Recorder, cold: Path
) -> None:
    assert_compiles(recorder, name, ARCHITECTURES[number % len(ARCHITECTURES)], cold)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [75, 86, 89, *ARCHITECTURES])
@pytest.mark.parametrize("name", LAUNCHES)
def test_every_launch_compiles_for_every_architecture(
    name: str, capability: int, recorder: Recorder, cold: Path
) -> None:
    assert_compiles(recorder, name, capability, cold)


def test_tensors_that_a_mode_watches_are_left_to_others() -> None:
    with FakeTensorMode():
        lists = [[torch.empty(3, device="cuda")] for _ in range(4)]
        assert plain_step(lists) == [0]


def test_tensors_on_the_cpu_are_left_to_others() -> None:
    lists = [[torch.zeros(3)] for _ in range(4)]
    assert plain_step(lists) == [0]
    assert not lists[0][0].any()


def in_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_kernel_is_not_imported_before_it_is_needed() -> None:
    in_python(
        "import sys, torch, adabelief, adabelief.step.fused_cuda\n"
        "param = torch.zeros(3, requires_grad=True)\n"
        "param.grad = torch.ones(3)\n"
        "adabelief.AdaBelief([param]).step()\n"
        "assert 'adabelief.kernels.triton_step' not in sys.modules\n"
    )


def test_without_triton_everything_else_works_and_the_reason_is_said() -> None:
    said = in_python(
        "import sys\n"
        "sys.modules['triton'] = None\n"
        "import adabelief\n"
        "from adabelief.step import fused_cuda\n"
        "print(fused_cuda.unavailable())\n"
        "try:\n"
        "    fused_cuda.update([], [], [], [], [], None)\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    first, second = said.splitlines()
    assert first == second
    assert first.startswith("Triton cannot be imported (")


def test_on_rocm_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert "NVIDIA" in (fused_cuda.unavailable.__wrapped__() or "")
