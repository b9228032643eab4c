"""AdaBelief in the form in which torch describes its own optimizers to its own tests.

`torch.testing._internal.common_optimizers` ships an `OptimizerInfo` for each optimizer: inputs
(options worth testing), error inputs, supported implementations, schedulers. `test_torch_checks`
runs the checks of torch's test suite over this one, and over AdamW's to check the checks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.testing._internal.common_optimizers import (
    ErrorOptimizerInput,
    OptimizerErrorEnum,
    OptimizerInfo,
    OptimizerInput,
    get_error_inputs_for_all_optims,
    optim_db,
)

from adabelief import AdaBelief


def given(desc: str, **options: Any) -> OptimizerInput:
    return OptimizerInput(params=None, kwargs=options, desc=desc)


def inputs(device: Any = "cpu", dtype: torch.dtype | None = None) -> list[OptimizerInput]:
    """What Adam's entry has, on every device, and the options that Adam has not."""
    del device, dtype  # no option of ours depends on them; fp16 needs no larger eps
    betas = (torch.tensor([[[0.9]]]), torch.tensor([[0.99]]))
    return [
        given("default"),
        given("non-default lr", lr=0.01),
        given("Tensor lr", lr=torch.tensor(0.01)),
        given("nonzero weight_decay", weight_decay=0.1),
        given("maximize", weight_decay=0.1, maximize=True),
        given("amsgrad", weight_decay=0.1, amsgrad=True),
        given("capturable", capturable=True),
        given("capturable, amsgrad", weight_decay=0.1, amsgrad=True, capturable=True),
        given("capturable, Tensor lr", lr=torch.tensor(0.001), amsgrad=True, capturable=True),
        given("Tensor lr and betas", lr=torch.tensor(0.001), betas=betas),
        given("Tensor betas, capturable", betas=betas, amsgrad=True, capturable=True),
        given("coupled", weight_decay=0.1, decoupled_weight_decay=False),
        given("fixed_decay", weight_decay=0.1, fixed_decay=True),
        given("rectify", rectify=True),
        given("rectify, capturable", rectify=True, capturable=True),
        given("clip_update", clip_update=0.5),
        given("no bias correction", bias_correction=False),
    ]


def wrong(error: type[Exception], text: str, desc: str, **options: Any) -> ErrorOptimizerInput:
    return ErrorOptimizerInput(given(desc, **options), error_type=error, error_regex=text)


def error_inputs(device: Any = "cpu", dtype: torch.dtype | None = None) -> list[Any]:
    """Torch's table for all optimizers, then Adam's with our texts, then our own."""
    strided = get_error_inputs_for_all_optims(device, dtype)
    sparse = torch.zeros(3, layout=torch.sparse_coo)
    param = torch.ones(3, 2)
    param.grad = torch.eye(3)[:, :2].to_sparse()
    return [
        *strided,
        wrong(ValueError, r"betas\[0\] must be in \(0, 1\), got 1.0", "beta1", betas=(1.0, 0.0)),
        wrong(ValueError, r"weight_decay must be in \[0, inf\), got -1", "decay", weight_decay=-1),
        wrong(ValueError, "betas must be either both floats or both Tensors", "one tensor beta",
              betas=(0.9, torch.tensor(0.99))),
        wrong(ValueError, "betas must be either both floats or both Tensors", "other tensor beta",
              betas=(torch.tensor(0.9), 0.99)),
        wrong(ValueError, r"Tensor betas\[1\] must be 1-element", "beta2 of two elements",
              betas=(torch.tensor(0.9), torch.tensor([0.9, 0.99]))),
        wrong(ValueError, "lr must be in", "negative tensor lr", lr=torch.tensor(-1.0)),
        wrong(ValueError, "foreach must be None or False with differentiable=True", "both",
              foreach=True, differentiable=True),
        ErrorOptimizerInput(
            OptimizerInput(params=[sparse], kwargs={}, desc="dense params required"),
            error_type=ValueError, error_regex=r"requires dense \(strided\) parameters",
        ),
        ErrorOptimizerInput(
            OptimizerInput(params=[{"params": [sparse]}], kwargs={}, desc="the same in a group"),
            error_type=ValueError, error_regex=r"requires dense \(strided\) parameters",
        ),
        ErrorOptimizerInput(
            OptimizerInput(params=[param], kwargs={"weight_decay": 0.1}, desc="no lazy decay"),
            error_on=OptimizerErrorEnum.STEP_ERROR,
            error_type=RuntimeError, error_regex="does not support sparse gradients",
        ),
    ]  # fmt: skip


ADAMW: OptimizerInfo = next(info for info in optim_db if info.name == "AdamW")

ADABELIEF = OptimizerInfo(
    AdaBelief,
    optim_inputs_func=inputs,
    optim_error_inputs_func=error_inputs,
    scheduler_inputs=ADAMW.scheduler_inputs,
    supported_impls=("foreach", "differentiable", "fused"),
    supports_fused_on=("cpu",),
    not_og_supported_flags=("foreach", "differentiable", "maximize", "capturable"),
    supports_sparse=True,
    has_capturable_arg=True,
    supports_complex=True,
)
