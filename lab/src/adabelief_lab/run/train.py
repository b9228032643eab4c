"""The one training loop: every optimizer of every comparison goes through it."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from adabelief_lab.common.atomic_files import replace
from adabelief_lab.common.environment import environment
from adabelief_lab.common.errors import StorageError
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.common.rng import derived, seed
from adabelief_lab.declare.study import Result, Run, Status
from adabelief_lab.declare.workload import Task, Workload
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.run import crash_counter
from adabelief_lab.run.belief_rows import belief_rows
from adabelief_lab.run.checkpoint import capture_state, restore_state
from adabelief_lab.run.picture_rows import picture_rows
from adabelief_lab.run.time_limit import TimeLimit
from adabelief_lab.run.timing import OptimizerClock, peak_memory, reset_peak_memory
from adabelief_lab.run.validate import build, loss_of, metrics_of
from adabelief_lab.store.run_folder import RunFolder


class Diverged(Exception):  # noqa: N818, an outcome, not an error
    """The loss or a metric stopped being finite."""


@dataclass
class Progress:
    """What a checkpoint says beside the states: where the run is and what it has cost."""

    step: int = 0
    seconds: float = 0.0
    eval_seconds: float = 0.0
    optimizer_seconds: float = 0.0
    peak_bytes: int = 0
    resumed: int = 0
    last: dict[str, float] = field(default_factory=dict)


class Guard(NamedTuple):
    """What an engine knows of an attempt that the run does not.

    Args:
        driver: who wants the run: an engine's own random word. Deaths are counted for each.
        time_limit: seconds of this attempt after which the run ends as "timeout", and this
            process with it: what hangs in native code cannot be stopped otherwise.
    """

    driver: str = ""
    time_limit: float | None = None


# Torchrun's agent looks ten times a second whether all processes of a run are alive.
GRACE_SECONDS = 10.0

# For whoever trains one run by hand.
UNGUARDED = Guard()


class ProcessGroupError(Exception):
    """This process's part of a run failed: the others wait for it, and have to be ended."""


def execute(
    folder: RunFolder,
    run: Run,
    workload: Workload,
    guard: Guard = UNGUARDED,
    group: ProcessGroup = SINGLE,
) -> str:
    """Train the run unless it is finished; whoever calls second waits for the first.

    Args:
        folder: the run's.
        run: what to train.
        workload: on what.
        guard: how long, and for whom.
        group: who trains it together; each of its processes calls this.

    Returns:
        What was found damaged in the folder and set aside, or "".

    Raises:
        StorageError: a file could not be written; the run goes on from its last checkpoint.
        TeamError: the run failed here, in one of several processes; its result is written.
    """
    with folder.locked() if group.is_main else nullcontext():
        if group.broadcast(folder.result() is not None):
            return ""
        state, amiss = _begin(folder, run, group)
        step = int(state["progress"]["step"]) if state else 0
        attempt = crash_counter.begin(folder.path, step, guard.driver) if group.is_main else 0
        if group.broadcast(attempt) > crash_counter.MAX_ATTEMPTS:
            _finish(folder, _killed(step), group)
        else:
            with TimeLimit(folder, guard.time_limit if group.is_main else None) as deadline:
                result = _train(folder, run, workload, state, group)
                with deadline.ending:
                    _finish(folder, result, group)
    return amiss


def _begin(folder: RunFolder, run: Run, group: ProcessGroup) -> tuple[dict[str, Any] | None, str]:
    """What this process goes on from, or None; and what was found damaged."""
    state, amiss = folder.start(run) if group.is_main else (None, "")
    step, amiss = group.broadcast((int(state["progress"]["step"]) if state else None, amiss))
    if step is None:
        return None, amiss
    if not group.is_main:
        state = folder.saved_part(group.rank, step)
    if group.all(state is not None):
        return state, amiss
    if group.is_main:
        folder.set_aside()
        folder.start(run)
    return None, "the checkpoint of one of its processes"


def _finish(folder: RunFolder, result: Result, group: ProcessGroup) -> None:
    alone = result.status in ("failed", "oom") and group.size > 1
    if alone:
        # Where another process died, collectives fail in this one: then it is ended meanwhile.
        time.sleep(GRACE_SECONDS)
    if group.is_main or alone:
        folder.finish(result)
    if group.is_main:
        crash_counter.end(folder.path)
    if alone:
        raise ProcessGroupError(result.reason)


def _killed(step: int) -> Result:
    reason = (
        f"its process was killed {crash_counter.MAX_ATTEMPTS} times after step {step} (most likely "
        "there was no memory left: fewer workers, or a smaller model or batch)"
    )
    return Result(
        status="oom",
        reason=reason,
        step=step,
        seconds=0.0,
        eval_seconds=0.0,
        environment=environment(),
    )


def _train(
    folder: RunFolder,
    run: Run,
    workload: Workload,
    state: dict[str, Any] | None,
    group: ProcessGroup,
) -> Result:
    progress = Progress(**state["progress"]) if state else Progress()
    n_params = 0
    status: Status = "ok"
    reason = ""
    reset_peak_memory()
    try:
        seed(run.init_seed)
        task = build(workload, run)
        if group.size > 1:
            task.parallelize(run.parallel)
        n_params = sum(p.numel() for m in task.modules.values() for p in m.parameters())
        optimizers = {
            name: make_declared_optimizer(run, module.parameters(), run.hyperparameters)
            for name, module in task.modules.items()
        }
        if not group.is_main:  # weights alike, dropout not
            seed(derived(run.init_seed, group.rank))
        if state:
            restore_state(state, task, optimizers)
            progress.resumed += 1
        _loop(folder, run, workload, task, optimizers, progress, group)
    except StorageError:
        raise
    except Diverged as outcome:
        status, reason = "diverged", str(outcome)
    except Exception as error:  # the workload is anybody's code: what it raises is a result
        status = "oom" if _no_memory(error) else "failed"
        reason = f"{type(error).__name__}: {error}"
        replace(folder.path / "error.txt", traceback.format_exc().encode())
    return Result(
        status=status,
        reason=reason,
        step=progress.step,
        last=_finite(progress.last) if status == "ok" else {},
        seconds=progress.seconds,
        eval_seconds=progress.eval_seconds,
        optimizer_seconds=progress.optimizer_seconds,
        peak_bytes=max(progress.peak_bytes, peak_memory()),
        resumed=progress.resumed,
        n_params=n_params,
        environment=environment(),
    )


def _loop(
    folder: RunFolder,
    run: Run,
    workload: Workload,
    task: Task,
    optimizers: Mapping[str, Optimizer],
    progress: Progress,
    group: ProcessGroup = SINGLE,
) -> None:
    clock = OptimizerClock(optimizers.values())
    before = progress.optimizer_seconds
    while progress.step < run.steps:
        start = time.perf_counter()
        stop = min(run.steps, (progress.step // run.eval_every + 1) * run.eval_every)
        losses = []
        for index in range(progress.step, stop):
            _set_lr(optimizers, run, index)
            losses.append(loss_of(workload, task.step(index, optimizers)))
            progress.step = index + 1
            if not math.isfinite(losses[-1]):
                msg = f"the training loss was {losses[-1]} at step {progress.step}"
                raise Diverged(msg)
        trained = time.perf_counter()
        progress.last = group.broadcast(metrics_of(workload, task.evaluate(run.split)))
        progress.seconds += trained - start
        progress.optimizer_seconds = before + clock.seconds
        progress.peak_bytes = max(progress.peak_bytes, peak_memory())
        rows: list[dict[str, Any]] = [
            {"step": progress.step, "split": "train", "loss": math.fsum(losses) / len(losses)},
            {"step": progress.step, "split": run.split, **_finite(progress.last)},
            # Of several processes each sees its own part of the state only.
            *(belief_rows(optimizers, progress.step) if group.size == 1 else ()),
            *picture_rows(task, progress.step),
        ]
        progress.eval_seconds += time.perf_counter() - trained
        size = folder.append(rows) if group.is_main else 0
        primary = progress.last[workload.primary]
        if not math.isfinite(primary):
            msg = f"{workload.primary} was {primary} at step {progress.step}"
            raise Diverged(msg)
        if progress.step < run.steps:
            made = {"metrics_bytes": size, "progress": asdict(progress)}
            folder.save({**made, **capture_state(task, optimizers)}, group)


def _no_memory(error: Exception) -> bool:
    """Torch's CPU allocator has no exception of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _set_lr(optimizers: Mapping[str, Optimizer], run: Run, index: int) -> None:
    factor = run.schedule.factor(index, run.steps)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = run.hyperparameters["lr"] * factor


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN and no infinity: None stands for them."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
