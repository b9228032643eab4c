"""What test_sanitizers.py runs under AddressSanitizer: every format, option and odd size.

Results are compared elsewhere; here the memory around them is watched, so every array ends exactly
where its malloc does. Arguments: the folder that `adabelief` must come from, and how many lists of
tensors to make up.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

import adabelief
from adabelief.kernels import cpu

SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 511, 513, 33_000)
INFINITE = float("inf")
# grad_scale, coupled_decay, keep, betas and their rests, eps, outer_eps, direction_scale, step_size
SCALARS = (1.0, 0.1, 0.999, 0.9, 0.1, 0.99, 0.01, 1e-8, 1e-9, 1.5, 0.1)


def exact(count: int, dtype: torch.dtype) -> Tensor:
    """Memory by malloc itself, without the room that torch's allocator rounds up to."""
    size = count * dtype.itemsize
    if size == 0:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(size), dtype=dtype)


def filled(count: int, dtype: torch.dtype, scale: float = 1.0) -> Tensor:
    values = torch.randn(count, dtype=torch.float64) * scale
    return exact(count, dtype).copy_(values.clamp(-30_000, 30_000))


def arrays(size: int, of_param: torch.dtype, of_grad: torch.dtype, state: int, master_weights: int,
           amsgrad: bool) -> tuple[Any, ...]:  # fmt: skip
    wide = torch.float64 if of_param == torch.float64 else torch.float32
    first = torch.bfloat16 if state else wide
    second = torch.uint8 if state == 2 else first
    most = filled(size, second).abs() if amsgrad else None
    codes = torch.randint(0, 256, (size,)).double()
    exponents = torch.randint(60, 225, (-(-size // 256),)).double()
    return (
        filled(size, of_param),
        filled(size, of_grad),
        filled(size, first),
        exact(size, second).copy_(codes if state == 2 else codes / 256),
        most,
        exact(len(exponents), torch.uint8).copy_(exponents) if state == 2 else None,
        filled(size, torch.int16, 9999) if master_weights == 1 else None,
    )


def formats() -> int:
    """Every combination through `append`, by every kernel; returns how many."""
    wide, narrow = torch.float64, (torch.float32, torch.bfloat16, torch.float16)
    pairs = [(wide, wide), *product(narrow, narrow)]
    done = 0
    for (of_param, of_grad), state, master_weights, size in product(
        pairs, range(3), range(3), SIZES
    ):
        if (of_param == wide and state) or (master_weights and of_param != torch.bfloat16):
            continue
        for kernel, amsgrad, coupled, adaptive, clip in product(
            ("", "baseline"), (False, True), (False, True), (True, False), (INFINITE, 0.5)
        ):
            if (amsgrad and state == 2) or (size > 600 and (coupled or not adaptive)):
                continue
            rows = cpu.batch()
            own = arrays(size, of_param, of_grad, state, master_weights, amsgrad)
            if size > 2:
                own[1][size // 2] = float("nan")
                own[1][size - 1] = INFINITE
            assert rows.append(own, amsgrad, state, master_weights, 2**32 - 1, 2**32 - 2, 0)
            scalars = (*SCALARS, clip, -INFINITE, INFINITE, coupled, amsgrad, adaptive)
            assert rows.run([scalars], kernel)
            done += 1
    for size in SIZES:
        four = [filled(size, torch.float32) for _ in range(4)]
        cpu.traffic(*([each] for each in four))
    return done


def lists(count: int) -> None:
    """fuzzing.py's lists of tensors, by threads as well."""
    import fuzzing  # noqa: PLC0415, after hypothesis has its settings

    @settings(
        derandomize=True, database=None, deadline=None, max_examples=count,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(fuzzing.groups())
    def compare(spec: list[dict[str, Any]]) -> None:
        fuzzing.compare(spec)

    compare()


def wrong() -> None:
    """Calls that must be refused before anything is touched."""
    own = arrays(600, torch.float32, torch.float32, 0, 0, False)
    calls: list[tuple[Any, ...]] = [
        (own, False, 77, 0, 0, 0, 0),
        (own, False, 0, 99, 0, 0, 0),
        (own, False, 0, 0, 0, 0, 2**31 - 1),
    ]
    for call in calls:
        rows = cpu.batch()
        try:
            rows.append(*call)
        except ValueError:
            continue
        raise AssertionError(call)
    odd = torch.frombuffer(bytearray(601 * 4), dtype=torch.float32, offset=1, count=600)
    assert not cpu.batch().append((odd, *own[1:]), False, 0, 0, 0, 0, 0)


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    assert adabelief.__file__ is not None
    assert Path(adabelief.__file__).is_relative_to(folder), adabelief.__file__
    assert cpu.unavailable() is None, cpu.unavailable()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    done = formats()
    wrong()
    lists(count)
    print(f"{done} formats, {count} lists: nothing to report")  # noqa: T201


if __name__ == "__main__":
    main()
