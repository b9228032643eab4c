"""What a workload is: data plus functions. A user's own model is the same, in a file of theirs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.optim import Optimizer

from adabelief_lab.declare.lr_schedule import AnySchedule, Schedule
from adabelief_lab.declare.optimizer_spec import OptimizerSpec, Search

Split = Literal["valid", "test"]
Parallel = Literal["ddp", "fsdp"]


class FailureThreshold(BaseModel):
    """A value from which on a finished run counts as failed; such runs are counted.

    Args:
        name: what then happened to it, in one word, as "collapsed".
        value: as bad as that, or worse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float


class Metric(BaseModel):
    """One number that `Task.evaluate` returns, and which way is better.

    Args:
        name: key in the mapping that `evaluate` returns.
        direction: "max" or "min".
        label: axis label; the name if empty.
        percent: show the value (a fraction) as a percentage.
        failure_threshold: when a run has come to nothing, if that can be told from this metric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    direction: Literal["min", "max"]
    label: str = ""
    percent: bool = False
    failure_threshold: FailureThreshold | None = None

    def fails(self, value: float) -> bool:
        """Whether that value is as bad as the threshold, or worse."""
        if self.failure_threshold is None:
            return False
        if self.direction == "max":
            return value <= self.failure_threshold.value
        return value >= self.failure_threshold.value

    @property
    def title(self) -> str:
        """Text for axes and table heads."""
        return (self.label or self.name) + (" (%)" if self.percent else "")

    def worst(self) -> float:
        """Value of a run that diverged: no finite value is worse."""
        return float("-inf") if self.direction == "max" else float("inf")

    def shown(self, value: float) -> float:
        """`value` in the unit of `title`."""
        return 100 * value if self.percent else value


class Preset(BaseModel):
    """Size of one comparison: the budget of a run and how many runs there are.

    Args:
        steps: optimizer steps of every run; every optimizer gets the same.
        eval_every: steps between two evaluations, and between two checkpoints.
        trials: points of its search space that each optimizer is tuned over.
        search: what is tuned: "lr" alone, each optimizer's whole "space" (decay, eps, ...) or a
            "grid" of lr × eps with as many trials for everybody, the grids of the "paper", or
            nothing: every optimizer runs with what is "published" for the workload.
        seeds: fresh paired seeds on which each tuned optimizer is run.
        target: value of the primary metric whose time is taken; if None, what the middle one of
            the tuned optimizers has at its end.
        schedule: learning rate over the run, as a factor of the tuned lr; a kind's name or a
            `Schedule`.
        processes: how many processes train each run together (`Task.parallelize`).
        parallel: how they do: "ddp" copies the weights (DistributedDataParallel), "fsdp" shards
            weights, gradients and optimizer state (FSDP2, fully_shard).
        options: whatever the workload's `build` wants to know (batch size, width, data).
        watermark: shown on every figure and table when data or training is reduced.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=1)
    eval_every: int = Field(ge=1)
    trials: int = Field(ge=1)
    seeds: int = Field(ge=1)
    search: Search = "lr"
    target: float | None = None
    schedule: AnySchedule = Schedule(kind="cosine")
    processes: int = Field(default=1, ge=1)
    parallel: Parallel = "ddp"
    options: dict[str, Any] = {}
    watermark: str = ""


class Task(ABC):
    """One training run's model and data. The lab owns the loop, the optimizers and the clock.

    `modules` has one entry for each optimizer: one for most models, two for a GAN.
    """

    modules: Mapping[str, nn.Module]

    @abstractmethod
    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor | float]:
        """Train on batch `index` (0, 1, ...) and return what to log, "loss" among it.

        The batch must depend on `index` and the data seed only: that is what makes a run
        that was killed go on exactly where it was.
        """

    @abstractmethod
    def evaluate(self, split: Split) -> Mapping[str, float]:
        """Return the workload's metrics on "valid" or "test", without changing the model."""

    def pictures(self, count: int) -> Tensor | None:
        """Images to look at, uint8 (count, c, h, w), the same ones at every time; None if none.

        Called after each evaluation and kept with its metrics; nothing may be changed by it.
        """
        del count
        return None

    def parallelize(self, parallel: Parallel) -> None:
        """Train with the other processes of torch.distributed's default group from now on.

        Called once in each process, before the optimizers are made, when a run has several. After
        it `step` takes this process's part of each batch, gradients are the mean over processes,
        and the returned loss is the same everywhere; `evaluate` is called everywhere, and what the
        first process returns is believed.
        """
        # Optional: a study of one process a run never asks, others are refused beforehand.
        raise NotImplementedError(self.refuses(2, parallel))

    def refuses(self, processes: int, parallel: Parallel) -> str:
        """Why `parallelize` is impossible with so many processes, or ""; asked before a study."""
        del processes, parallel
        unable = type(self).parallelize is Task.parallelize
        return f"{type(self).__name__} has no method parallelize" if unable else ""

    def state_dict(self) -> dict[str, Any]:
        """Whatever must survive a restart besides modules, optimizers and torch's RNG."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027, optional
        """Restore what `state_dict` returned."""


@dataclass(frozen=True)
class Workload:
    """A training problem to compare optimizers on.

    Args:
        name: short name, used in folders and tables.
        build: `(preset, init_seed, data_seed) -> Task`; weights from the first seed only,
            order of the data from the second only, so that optimizers meet the same of both.
        metrics: what `Task.evaluate` returns.
        primary: the metric that tunes and ranks.
        presets: sizes by name; "quick" is the default of the command line.
        title: one line for the report.
        data: what the data are, where from, licence; shown in the report's provenance.
        published: optimizers with the settings that somebody ran on this workload, for presets that
            search nothing; the first is the one that the others are compared with.
        options: what `Preset.options` may hold, where somebody wrote it down: mistakes in options
            are then found before anything is built.
        files: `options -> files` of the user that they name: with other contents it is another
            study, which does not go on in the same folder.
        labels: `options -> labels` of metrics by name, where these depend on options.
    """

    name: str
    build: Callable[[Preset, int, int], Task]
    metrics: tuple[Metric, ...]
    primary: str
    presets: Mapping[str, Preset]
    title: str = ""
    data: str = ""
    published: tuple[OptimizerSpec, ...] = ()
    options: type[BaseModel] | None = None
    files: Callable[[Mapping[str, Any]], Sequence[Path]] = field(default=lambda options: ())
    labels: Callable[[Mapping[str, Any]], Mapping[str, str]] = field(default=lambda options: {})
