"""Writes docs/compatibility.md from the outcomes of the tests: python docs/compatibility.py RECORD.

RECORD is what `pytest --record=RECORD` wrote; `make compatibility` does both.
"""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

PAGE = Path(__file__).parent / "compatibility.md"

# Section -> feature -> the tests that show it, as beginnings of node ids below tests/.
FEATURES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "The algorithm": {
        "Algorithm 2 and every option equal `reference.py` at every step": ["test_parity.py"],
        "every option round-trips: state_dict, deepcopy, pickle, `torch.load(weights_only=True)`": [
            "test_checkpoint.py::test_every_option_still_acts",
            "test_torch_checks.py::test_state_dict_round_trip",
            "test_torch_checks.py::test_copies_continue",
        ],
        "float32 state for bfloat16 and float16, kept by `load_state_dict`": [
            "test_checkpoint.py::test_the_state_of_half_precision",
            "test_optimizer.py::test_the_state_of_bfloat16",
            "test_optimizer.py::test_half_precision_moves_in_place",
        ],
        "feasible sets: Box, NonNegative, L2Ball, L1Ball, Simplex, Hyperplane, Halfspace": [
            "test_feasible_steps.py",
        ],
        "the projections are exact in the metric √ŝ, over twelve decades": [
            "test_feasible_exact.py",
            "test_feasible_laws.py",
        ],
    },
    "torch's protocol": {
        "torch's own optimizer checks, over its own database": ["test_torch_checks.py"],
        "torch's own error inputs": ["test_torch_checks.py::test_errors[AdaBelief"],
        "0-dim, empty, strided, channels_last parameters": ["test_parity.py::test_every_shape"],
        "gradients of another layout or dtype": [
            "test_parity.py::test_gradients_may_lie",
            "test_parity.py::test_gradients_may_have",
        ],
        "complex parameters": [
            "test_state.py::test_a_complex_parameter",
            "test_torch_checks.py::test_complex_parameters",
        ],
        "parameters without, or with late gradients": [
            "test_parity.py::test_parameters_keep_their_own_count",
        ],
        "several groups, dtypes in one optimizer": ["test_parity.py::test_dtypes_and_groups_mix"],
        "maximize": ["test_properties.py::test_maximizing"],
        "tensor lr, weight decay and betas": ["test_tensor_options.py"],
        "capturable: no value leaves the device (fake CUDA tensors; not run on a GPU)": [
            "test_capturable.py",
        ],
        "differentiable (gradcheck of all inputs, meta-learning)": ["test_differentiable.py"],
        "`torch.compile(optimizer.step)` in one graph, compiled once": ["test_compile.py"],
        "sparse gradients, lazily": ["test_sparse.py"],
        "closures": ["test_optimizer.py::test_a_closure", "test_authors_defects.py::test_16"],
        "hooks of steps, of saving and of loading": ["test_torch_checks.py::test_hooks"],
        "profiler names": ["test_torch_checks.py::test_the_profiler"],
        "torch.amp.GradScaler": ["test_optimizer.py::test_grad_scaler"],
        "optimizer in backward": [
            "test_torch_checks.py::test_optimizer_in_backward",
            "test_release.py::test_every_path",
        ],
        "torch.optim.swa_utils": ["test_optimizer.py::test_weight_averaging"],
        "learning rate schedulers, OneCycleLR's betas": [
            "test_schedules.py",
            "test_torch_checks.py::test_schedulers",
            "test_torch_checks.py::test_one_cycle",
        ],
        "a model cast or moved after some steps": [
            "test_state.py::test_a_model_may_be_cast",
            "test_state.py::test_the_state_goes_to_the_device",
            "test_state.py::test_a_model_may_change_its_memory_layout",
        ],
        "types: mypy --strict and pyright in a user's file": ["test_typing.py"],
    },
    "Distribution (gloo, real processes)": {
        "DistributedDataParallel": ["test_distributed.py::test_data_parallel"],
        "FSDP2 (`fully_shard`), uneven and empty shards, clipping, mixed precision": [
            "test_distributed.py::test_fully_sharded[",
            "test_distributed.py::test_fully_sharded_in_half",
            "test_distributed.py::test_fully_sharded_with_two",
            "test_distributed.py::test_fully_sharded_with_mixed",
            "test_distributed.py::test_sharded_after",
        ],
        "FSDP1": ["test_distributed.py::test_fully_sharded_with_flat"],
        "tensor parallel, beside whole parameters; gradients of another placement": [
            "test_distributed.py::test_tensor_parallel",
            "test_distributed.py::test_gradients_of_other",
        ],
        "ZeroRedundancyOptimizer": ["test_distributed_checkpoint.py::test_zero_redundancy"],
        "torch.distributed.checkpoint: two ranks to one and to four": [
            "test_distributed_checkpoint.py::test_resume",
            "test_distributed_checkpoint.py::test_one_file",
            "test_distributed_checkpoint.py::test_the_template",
        ],
        "feasible sets over shards": ["test_distributed_feasible.py", "test_sharded.py"],
    },
    "Frameworks": {
        "Hugging Face Trainer": ["frameworks/test_huggingface.py"],
        "Accelerate": ["frameworks/test_accelerate.py"],
        "Lightning": ["frameworks/test_lightning.py"],
        "skorch": ["frameworks/test_skorch.py"],
    },
    "Kernels and memory": {
        "the C kernel: layouts, threads, forks, two optimizers at once, refusals": [
            "test_fused.py",
        ],
        "the C kernel under AddressSanitizer and UndefinedBehaviorSanitizer, fuzzed": [
            "test_sanitizers.py",
            "test_fused_fuzz.py",
        ],
        "wheels: abi3, a fresh environment, torch 2.13 and 2.14": ["test_wheel.py"],
        "the Triton kernel, interpreted and compiled ahead of time (not run on a GPU)": [
            "test_triton.py",
            "test_triton_interpreted.py",
            "test_triton_script.py",
        ],
        '`state_dtype="bfloat16"` and `"8bit"`, `master="split"` and `"stochastic"`': [
            "test_small_state.py",
            "test_rounding.py",
        ],
        "small state compiled by torch.compile": ["test_compile.py::test_small_state"],
        "`release_gradients`": ["test_release.py", "test_release_distributed.py"],
        "what `release_gradients` cannot be used with is refused": ["test_release_refusals.py"],
    },
    "The laboratory": {
        "every optimizer equals its paper's recursion in float64": ["test_rival_recursions.py"],
        "SIGKILL of driver and workers: no run lost, none twice, the same bytes": [
            "test_resume.py",
            "test_engine.py",
        ],
        "SIGKILL of a Ray node and of a driver on Ray, two drivers on one folder": ["test_ray.py"],
        "runs made again are the same; archives": ["test_transfer.py"],
        "a workload's promises are checked": ["test_conformance.py"],
    },
    "Checkpoints of others": {
        "adabelief-pytorch, timm, pytorch_optimizer, torch_optimizer; warm start from Adam": [
            "test_foreign_checkpoints.py",
        ],
    },
}

# Rows of the table of defects of adabelief-pytorch 0.2.1, observed on torch 2.14.1.
DEFECTS: Mapping[int, str] = {
    1: "prints 15 lines when it is made, two of which cannot be silenced",
    2: "needs colorama and tabulate for that",
    3: "a deep copy cannot step",
    4: "a pickled optimizer cannot step",
    5: "rectify, weight_decouple, fixed_decay are not in checkpoints",
    6: "cannot read checkpoints of its own version 0.0.5",
    7: "KeyError in a later step after loading Adam's state, or when amsgrad is switched on",
    8: "replaces the storage of float16 parameters at every step",
    9: "float16 state underflows on resume: inf in the next step",
    10: "bfloat16 state never forgets",
    11: "complex parameters are silently wrong",
    12: "sparse gradients are refused",
    13: "no maximize, capturable, foreach, differentiable",
    14: "torch.compile recompiles at every step",
    15: "one call for each small tensor",
    16: "a closure under no_grad fails",
    17: "coupled decay writes into the gradient",
    18: "groups with different betas share one rectification buffer",
    19: "amsgrad has no effect with its default rectify",
    20: "a negative weight decay is accepted",
    21: "a NaN gradient stays for ever (as in Adam): the documented way to skip such steps",
    22: "β₁ = 0 explodes",
    23: "what works there: tensor lr, odd shapes, OneCycleLR, GradScaler, hooks, names",
    24: "rare gradients: no blow-up there, none here",
    25: "deprecated overloads (0.0.5)",
    26: 'the word "False" counts as true',
}

COLUMNS = ("loop", "foreach", "fused", "default")

Record = Sequence[Mapping[str, str]]  # id, path (one of COLUMNS), outcome


def cell(outcomes: Sequence[str]) -> str:
    """`✓ 12`, `✗ 1 of 12`, and `skipped` when nothing was run."""
    counts = Counter(outcomes)
    run = counts["passed"] + counts["failed"]
    if not run:
        return "skipped" if outcomes else ""
    return f"✗ {counts['failed']} of {run}" if counts["failed"] else f"✓ {run}"


def row(name: str, record: Record, patterns: Sequence[str]) -> str:
    """One line of a table of features."""
    ours = [one for one in record if any(one["id"].startswith(p) for p in patterns)]
    ours = [one for one in ours if "AdamW" not in one["id"]]  # checked beside ours
    if not ours:
        msg = f"{name}: no outcome of {', '.join(patterns)} in the record"
        raise SystemExit(msg)
    cells = [cell([one["outcome"] for one in ours if one["path"] == key]) for key in COLUMNS]
    return f"| {name} | {' | '.join(cells)} |"


def page(record: Record) -> str:
    """The whole page."""
    head = f"| | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}"
    parts = [
        "# What works",
        "Generated from test outcomes by `make compatibility`; nothing here is typed by "
        "hand. A cell says how many tests of a feature passed: with `foreach=False` (loop), "
        "`foreach=True`, `fused=True`, and as a user gets it without saying anything (default, "
        "which is where tests are that have no such choice). No GPU was there: CUDA is checked by "
        "fake tensors and Triton's interpreter only.",
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}, CPU.",
    ]
    for section, features in FEATURES.items():
        rows = [row(name, record, patterns) for name, patterns in features.items()]
        parts += [f"## {section}", "\n".join([head, *rows])]
    defects = []
    for number, what in DEFECTS.items():
        pattern = f"test_authors_defects.py::test_{number:02}_"
        ours = [one for one in record if one["id"].startswith(pattern)]
        names = sorted({one["id"].partition("[")[0].partition("::")[2] for one in ours})
        cells = cell([one["outcome"] for one in ours])
        defects.append(f"| {number} | {what} | `{', '.join(names)}` | {cells} |")
    parts += [
        "## Defects of adabelief-pytorch 0.2.1 that are not ours",
        "\n".join(["| | there | test here | |", "| --- | --- | --- | --- |", *defects]),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(Path(sys.argv[1]).read_text())), encoding="utf-8")
    print(f"wrote {PAGE.name}")
