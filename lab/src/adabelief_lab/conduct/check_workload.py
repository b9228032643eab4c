"""Whether a workload passes the checks: trained a few steps, twice, resumed, and evaluated."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from adabelief import AdaBelief
from adabelief_lab.common.errors import LabError
from adabelief_lab.common.rng import capture, seed
from adabelief_lab.declare.study import TUNE_DATA_SEED, TUNE_INIT_SEED
from adabelief_lab.declare.workload import Preset, Task, Workload
from adabelief_lab.run.checkpoint import capture_state, restore_state
from adabelief_lab.run.validate import dry_run, loss_of, metrics_of

STEPS = 4
# Enough for a sign of learning in nearly any model, at most some seconds.
LEARNING_STEPS = 50
LR = 1e-3


class CheckResult(NamedTuple):
    """One check, its outcome, and what to do if it failed."""

    check: str
    state: Literal["passed", "failed", "inconclusive"]
    detail: str = ""


class Trained(NamedTuple):
    """A task after a few steps, with the losses on the way."""

    task: Task
    optimizers: dict[str, Optimizer]
    losses: list[float]


def check(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """Every finding as soon as it is made.

    What a comparison relies on: equal seeds give equal runs, so that pairs are pairs; a run that
    was killed goes on as if it had not been; and evaluation only looks.

    Args:
        workload: whose checks.
        preset: the size at which they are tried; a small one is as good.
    """
    try:
        dry_run(workload, preset)
    except LabError as error:
        yield CheckResult("it can be built, trained one step and evaluated", "failed", str(error))
        return
    yield CheckResult("it can be built, trained one step and evaluated", "passed")
    for probe in (_init_seed, _data_seed, _repeats, _resumes, _evaluation, _learns):
        try:
            yield from probe(workload, preset)
        except Exception as error:
            name = (probe.__doc__ or "").partition(".")[0]
            yield CheckResult(name, "failed", f"raised {type(error).__name__}: {error}")


def _build(workload: Workload, preset: Preset, init: int = 0, data: int = 0) -> Task:
    """As a run does: the global generators are seeded before."""
    seed(TUNE_INIT_SEED + init)
    return workload.build(preset, TUNE_INIT_SEED + init, TUNE_DATA_SEED + data)


def _optimizers(task: Task) -> dict[str, Optimizer]:
    return {name: AdaBelief(module.parameters(), lr=LR) for name, module in task.modules.items()}


def _train(workload: Workload, preset: Preset, steps: int, init: int = 0, data: int = 0) -> Trained:
    task = _build(workload, preset, init, data)
    optimizers = _optimizers(task)
    losses = [loss_of(workload, task.step(index, optimizers)) for index in range(steps)]
    return Trained(task, optimizers, losses)


def _weights(task: Task) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().clone()
        for name, module in task.modules.items()
        for key, value in module.state_dict().items()
    }


def _different(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that are not equal bit for bit; not-a-number equals itself."""
    if one.keys() != other.keys():
        return sorted(one.keys() ^ other.keys())
    return [key for key in one if not torch.equal(one[key].nan_to_num(), other[key].nan_to_num())]


def _init_seed(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """The first seed, and nothing else, decides the weights."""
    weights = _weights(_build(workload, preset))
    again = _different(weights, _weights(_build(workload, preset)))
    detail = f"two builds with equal seeds differ in {_some(again)}" if again else ""
    yield CheckResult("equal seeds give equal weights", "failed" if again else "passed", detail)
    moved = _different(weights, _weights(_build(workload, preset, data=1)))
    detail = f"another data_seed changed {_some(moved)}" if moved else ""
    yield CheckResult(
        "the data seed does not touch the weights", "failed" if moved else "passed", detail
    )
    other = _different(weights, _weights(_build(workload, preset, init=1)))
    detail = "" if other else "another init_seed gave the same weights: all runs begin alike"
    yield CheckResult(
        "another init seed gives other weights", "passed" if other else "failed", detail
    )


def _data_seed(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """The second seed decides the order of the data."""
    one = _train(workload, preset, STEPS).losses
    other = _train(workload, preset, STEPS, data=1).losses
    same = one == other
    detail = "another data_seed gave the same losses: seeds would not be samples" if same else ""
    yield CheckResult(
        "another data seed gives other batches", "failed" if same else "passed", detail
    )


def _repeats(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """Equal seeds give equal training, bit for bit."""
    one, other = (_train(workload, preset, STEPS) for _ in range(2))
    check = "equal seeds give equal training, bit for bit"
    for step, (first, second) in enumerate(zip(one.losses, other.losses, strict=True), start=1):
        if repr(first) != repr(second):  # two that are not numbers are the same
            detail = f"the losses of step {step} were {first!r} and {second!r}"
            yield CheckResult(check, "failed", detail)
            return
    differing = _different(_weights(one.task), _weights(other.task))
    detail = f"after {STEPS} steps {_some(differing)} differ" if differing else ""
    yield CheckResult(check, "failed" if differing else "passed", detail)
    metrics = [metrics_of(workload, each.task.evaluate("valid")) for each in (one, other)]
    detail = "" if metrics[0] == metrics[1] else f"{metrics[0]} and {metrics[1]}"
    yield CheckResult("equal models are evaluated equal", "failed" if detail else "passed", detail)


def _resumes(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """A run that was killed goes on as if it had not been."""
    straight = _train(workload, preset, STEPS)
    half = _train(workload, preset, STEPS // 2)
    saved = copy.deepcopy(capture_state(half.task, half.optimizers))
    task = _build(workload, preset)
    optimizers = _optimizers(task)
    restore_state(saved, task, optimizers)
    rest = [loss_of(workload, task.step(i, optimizers)) for i in range(STEPS // 2, STEPS)]
    check = "a run that was killed goes on as if it had not been"
    if rest != straight.losses[STEPS // 2 :] or _different(_weights(task), _weights(straight.task)):
        yield CheckResult(
            check,
            "failed",
            f"losses after resuming were {rest}, without a kill {straight.losses[STEPS // 2 :]}: "
            "a batch must depend on its index and the seed only, and what else changes must be "
            "in Task.state_dict",
        )
        return
    yield CheckResult(check, "passed")


def _evaluation(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """Evaluation only looks."""
    trained = _train(workload, preset, 1)
    task = trained.task
    before, modes, random = _weights(task), _modes(task), capture()
    splits = [metrics_of(workload, task.evaluate(split)) for split in ("valid", "test")]
    changed = _different(before, _weights(task))
    detail = f"evaluate changed {_some(changed)}" if changed else ""
    yield CheckResult("evaluation does not train", "failed" if changed else "passed", detail)
    detail = "" if _modes(task) == modes else "modules were left in another mode (train or eval)"
    yield CheckResult(
        "evaluation leaves modes as they were", "failed" if detail else "passed", detail
    )
    after = capture()
    drew = any(not _same(random[key], after[key]) for key in random)
    detail = "evaluate drew from the global generators: training after it depends on it"
    yield CheckResult(
        "evaluation draws no random numbers",
        "inconclusive" if drew else "passed",
        detail if drew else "",
    )
    again = metrics_of(workload, task.evaluate("valid"))
    detail = "" if again == splits[0] else f"twice in a row: {splits[0]} and {again}"
    yield CheckResult("evaluation repeats itself", "failed" if detail else "passed", detail)
    detail = "" if splits[0] != splits[1] else f"both are {splits[0]}: the same examples?"
    yield CheckResult(
        "valid and test are different data", "inconclusive" if detail else "passed", detail
    )


def _learns(workload: Workload, preset: Preset) -> Iterator[CheckResult]:
    """The primary metric improves in its direction."""
    task = _build(workload, preset)
    metric = next(each for each in workload.metrics if each.name == workload.primary)
    before = metrics_of(workload, task.evaluate("valid"))[metric.name]
    optimizers = _optimizers(task)
    for index in range(min(LEARNING_STEPS, preset.steps)):
        task.step(index, optimizers)
    after = metrics_of(workload, task.evaluate("valid"))[metric.name]
    better = after > before if metric.direction == "max" else after < before
    detail = (
        f"{metric.name} went from {before:g} to {after:g} in {index + 1} steps of AdaBelief with "
        f'lr={LR:g}; declared is direction="{metric.direction}"'
    )
    yield CheckResult(
        "the primary metric improves in its direction",
        "passed" if better else "inconclusive",
        "" if better else detail,
    )


def _modes(task: Task) -> list[bool]:
    return [each.training for module in task.modules.values() for each in module.modules()]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _some(names: list[str]) -> str:
    """At most three of the names."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest
