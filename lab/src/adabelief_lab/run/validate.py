"""What a workload must return, checked where it returns it, in messages for its author."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from adabelief_lab.common.errors import LabError
from adabelief_lab.common.rng import seed
from adabelief_lab.declare.study import TUNE_DATA_SEED, TUNE_INIT_SEED, Run
from adabelief_lab.declare.workload import Preset, Task, Workload


class WorkloadError(LabError):
    """A workload returned something else than the contract in `lab/workload.py` says."""


def preset_of(workload: Workload, name: str) -> Preset:
    """The workload's preset of that name."""
    if name not in workload.presets:
        listed = ", ".join(workload.presets)
        msg = f"workload {workload.name!r} has no preset {name!r}; it has {listed}"
        raise LabError(msg)
    return workload.presets[name]


def build(workload: Workload, run: Run) -> Task:
    """Build the run's task and check it."""
    preset = preset_of(workload, run.preset).model_copy(
        update={"steps": run.steps, "eval_every": run.eval_every, "options": run.options}
    )
    return _build(workload, preset, run.init_seed, run.data_seed)


def loss_of(workload: Workload, logged: object) -> float:
    """The "loss" that `Task.step` returned, as a float."""
    if not isinstance(logged, Mapping) or "loss" not in logged:
        raise _wrong(workload, "step", 'a mapping with "loss"', logged)
    return _number(workload, "step", "loss", logged["loss"])


def metrics_of(workload: Workload, metrics: object) -> dict[str, float]:
    """The workload's declared metrics from what `Task.evaluate` returned, as floats."""
    names = [metric.name for metric in workload.metrics]
    if not isinstance(metrics, Mapping) or not set(names) <= set(metrics):
        raise _wrong(workload, "evaluate", f"a mapping with {', '.join(names)}", metrics)
    return {name: _number(workload, "evaluate", name, metrics[name]) for name in names}


def dry_run(workload: Workload, preset: Preset, *, evaluate: bool = True) -> None:
    """Build the task once, train one step and evaluate: mistakes show before a study begins.

    Args:
        workload: whose task.
        preset: its size.
        evaluate: not needed by a study that goes on: at a full size it takes minutes, and what
            may have gone since then, such as data, is missed in building.

    Raises:
        ContractError: something returned is of the wrong kind.
        LabError: the workload's own code raised.
    """
    if workload.primary not in [metric.name for metric in workload.metrics]:
        names = ", ".join(metric.name for metric in workload.metrics)
        msg = f"workload {workload.name!r}: primary {workload.primary!r} is not among {names}"
        raise WorkloadError(msg)
    try:
        seed(TUNE_INIT_SEED)
        task = _build(workload, preset, TUNE_INIT_SEED, TUNE_DATA_SEED)
        if preset.processes > 1 and (reason := task.refuses(preset.processes, preset.parallel)):
            msg = (
                f"workload {workload.name!r} cannot train with --procs-per-run "
                f"{preset.processes} --parallel {preset.parallel}: {reason}"
            )
            raise WorkloadError(msg)
        optimizers = {
            name: torch.optim.SGD(module.parameters(), lr=0.0)
            for name, module in task.modules.items()
        }
        loss_of(workload, task.step(0, optimizers))
        if evaluate:
            metrics_of(workload, task.evaluate("valid"))
    except LabError:
        raise
    except Exception as error:
        msg = f"workload {workload.name!r} raised {type(error).__name__}: {error}"
        raise LabError(msg) from error


def _build(workload: Workload, preset: Preset, init_seed: int, data_seed: int) -> Task:
    task = workload.build(preset, init_seed, data_seed)
    if not isinstance(task, Task):
        raise _wrong(workload, "build", "a Task", task)
    modules = getattr(task, "modules", None)
    if not isinstance(modules, Mapping) or not modules:
        raise _wrong(workload, "build", "a Task whose modules are a mapping of names", modules)
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise _wrong(workload, "build", f"a torch module as modules[{name!r}]", module)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            msg = f"workload {workload.name!r}: modules[{name!r}] has nothing to train"
            raise WorkloadError(msg)
    return task


def _number(workload: Workload, function: str, name: str, value: Any) -> float:
    try:
        if isinstance(value, Tensor) and value.numel() == 1:
            return float(value.detach())
        if not isinstance(value, (str, bytes, bool, Tensor)):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise _wrong(workload, function, f"one number as {name!r}", value)


def _wrong(workload: Workload, function: str, expected: str, got: object) -> WorkloadError:
    if isinstance(got, Mapping):
        shown = f"a mapping with {', '.join(map(str, got)) or 'nothing'}"
    else:
        text = repr(got)
        shown = f"{type(got).__name__} {text if len(text) < 60 else text[:57] + '...'}"
    return WorkloadError(
        f"workload {workload.name!r}: {function} must return {expected}, got {shown}"
    )
