"""A comparison as a declaration: the study, its runs, and the pure function that plans them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator

from adabelief_lab.declare.lr_schedule import AnySchedule
from adabelief_lab.declare.optimizer_spec import OptimizerSpec
from adabelief_lab.declare.search_space import Point, Value, side
from adabelief_lab.declare.workload import Metric, Parallel, Preset

# Tuning and final runs never share a seed; weights and data order have streams of their own.
TUNE_INIT_SEED, TUNE_DATA_SEED = 11, 12
FINAL_INIT_SEED, FINAL_DATA_SEED = 1_000, 2_000


Status = Literal["ok", "diverged", "failed", "oom", "timeout"]
# What says something about the optimizer; the others are the machine's or the code's fault.
CONCLUSIVE: tuple[Status, ...] = ("ok", "diverged")


class Declaration(BaseModel):
    """Frozen, so that what is derived from it can be kept; a copy with changes derives anew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, which would copy the values of cached properties too."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Wrapped(Declaration):
    """An optimizer around another one in a run: which, and its keyword arguments."""

    implementation: str
    arguments: dict[str, Any]


class Run(Declaration):
    """One training run, complete enough to repeat it. Equal runs have equal keys.

    A run names the workload and the optimizer by their ids, never by the module that they are in:
    a moved module changes no key. Only a user's own class is named by its import path.

    `workload_hash` is the sha256 of the user's files: the workload's, and those that its options
    name; "" if there are none.
    """

    workload: str
    workload_hash: str
    preset: str
    steps: int
    eval_every: int
    schedule: AnySchedule
    options: dict[str, Any]
    optimizer: str
    implementation: str
    hyperparameters: dict[str, Any]
    wrappers: tuple[Wrapped, ...] = ()
    processes: int = 1
    parallel: Parallel = "ddp"
    init_seed: int
    data_seed: int
    phase: Literal["tune", "final"]

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits of the sha256 of the canonical JSON: the run's folder name."""
        content = self.model_dump(mode="json")
        if self.processes == 1:
            del content["processes"], content["parallel"]  # of no effect; folders older than them
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def split(self) -> Literal["valid", "test"]:
        """Tuning sees the validation split only; the test split is for final runs only."""
        return "valid" if self.phase == "tune" else "test"


class Result(BaseModel):
    """How a run ended.

    Args:
        status: "ok"; "diverged" (the loss stopped being finite); "failed" (an exception); "oom"
            (no memory, or its process was killed again and again at the same place); "timeout".
        reason: why, when it is not ok.
        step: optimizer steps done.
        last: metrics at the last evaluation; None where they were not finite. Empty unless ok.
        seconds: training time without evaluation, summed over restarts.
        eval_seconds: time of the evaluations.
        optimizer_seconds: part of `seconds` that was spent in `optimizer.step`.
        peak_bytes: memory of the worker, or of the GPU's allocator, at its most.
        resumed: how often the run went on from a checkpoint and reached the next.
        environment: versions, CPU, threads: what the numbers were made with.
    """

    model_config = ConfigDict(extra="forbid")

    status: Status
    reason: str = ""
    step: int
    last: dict[str, float | None] = {}
    seconds: float
    eval_seconds: float
    optimizer_seconds: float = 0.0
    peak_bytes: int = 0
    resumed: int = 0
    n_params: int = 0
    environment: dict[str, Any] = {}


@dataclass(frozen=True)
class RunRecord:
    """One planned run and what its folder holds. `rows` are the lines of metrics.jsonl.

    A row is `{"step": s, "split": "train" | "valid" | "test" | "belief", "loss": ..., ...}`: mean
    of the training loss since the row before, or the metrics of one evaluation, after s steps, or
    what an AdaBelief does (run/belief_rows.py). A row of "pictures" holds what a generator makes
    (run/picture_rows.py).
    `result` is None while the run is not finished. Rows of a store are read when they are looked
    at.
    """

    run: Run
    result: Result | None
    rows: Sequence[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Planned:
    """One optimizer's runs, `final` by the text of the point: 100,000 take seconds to make."""

    optimizer: OptimizerSpec
    points: list[dict[str, Value]]
    tune: list[Run]
    final: dict[str, list[Run]]


class Study(Declaration):
    """A comparison's whole declaration: what `study.json` holds.

    Args:
        baseline: name of the optimizer that all others are compared with.
        source: file a user's workload came from, as given; "" for one of this package.

    Raises:
        LabError: a grid is to be searched and the number of trials is not a square.
    """

    workload: str
    workload_hash: str
    source: str
    title: str
    data: str
    metrics: tuple[Metric, ...]
    primary: str
    preset: str
    settings: Preset
    optimizers: tuple[OptimizerSpec, ...]
    baseline: str

    @model_validator(mode="after")
    def _has_a_plan(self) -> Study:
        if self.settings.search == "grid":
            side(self.settings.trials)  # also where every optimizer searches lr alone
        return self

    @property
    def primary_metric(self) -> Metric:
        """The metric that tunes and ranks."""
        return next(metric for metric in self.metrics if metric.name == self.primary)

    def optimizer(self, name: str) -> OptimizerSpec:
        """The declared optimizer of that name."""
        return next(spec for spec in self.optimizers if spec.name == name)

    def points(self, spec: OptimizerSpec) -> list[dict[str, Value]]:
        """The points of the optimizer's space that are tried, in the order of `tune_runs`."""
        return self._planned(spec).points

    def tune_runs(self, spec: OptimizerSpec) -> list[Run]:
        """One run for each point of the optimizer's plan, all on the one pair of tuning seeds.

        None where settings are published: there is nothing to choose.
        """
        return self._planned(spec).tune

    def final_runs(self, spec: OptimizerSpec, point: Point) -> list[Run]:
        """The chosen point on fresh seeds, the same pairs for every optimizer."""
        made = self._planned(spec).final
        if repr(point) not in made:
            made[repr(point)] = [
                self._run(spec, point, FINAL_INIT_SEED + seed, FINAL_DATA_SEED + seed, "final")
                for seed in range(self.settings.seeds)
            ]
        return made[repr(point)]

    def single_run(self, spec: OptimizerSpec, point: Point, seed: int) -> Run:
        """One run by itself: at that point, with that seed for weights and order, on valid data."""
        return self._run(spec, point, seed, seed, "tune")

    @property
    def n_runs(self) -> int:
        """Runs of the whole study if no optimizer diverges at every point."""
        trials = sum(len(self.tune_runs(spec)) for spec in self.optimizers)
        return trials + len(self.optimizers) * self.settings.seeds

    @cached_property
    def _made(self) -> dict[str, _Planned]:
        """By optimizer, filled by `_planned`."""
        return {}

    def _planned(self, spec: OptimizerSpec) -> _Planned:
        made = self._made.get(spec.name)
        if made is None or made.optimizer is not spec:  # somebody changed the declared one
            points = spec.plan(self.settings.trials, self.settings.search)
            seeds = (TUNE_INIT_SEED, TUNE_DATA_SEED)
            # What is published was chosen by others.
            tried = [] if self.settings.search == "published" else points
            tune = [self._run(spec, point, *seeds, "tune") for point in tried]
            made = self._made[spec.name] = _Planned(spec, points, tune, {})
        return made

    def _run(
        self,
        spec: OptimizerSpec,
        point: Point,
        init_seed: int,
        data_seed: int,
        phase: Literal["tune", "final"],
    ) -> Run:
        return Run(
            workload=self.workload,
            workload_hash=self.workload_hash,
            preset=self.preset,
            steps=self.settings.steps,
            eval_every=self.settings.eval_every,
            schedule=spec.schedule or self.settings.schedule,
            options=self.settings.options,
            optimizer=spec.name,
            implementation=spec.implementation,
            hyperparameters=spec.arguments(point),
            wrappers=tuple(
                Wrapped(implementation=around.implementation, arguments=around.arguments)
                for around in spec.wrappers
            ),
            processes=self.settings.processes,
            parallel=self.settings.parallel,
            init_seed=init_seed,
            data_seed=data_seed,
            phase=phase,
        )


class Chosen(NamedTuple):
    """What tuning chose: a point of the search space, and the run that tried the point, if any."""

    point: Point
    run: Run | None


def select(study: Study, spec: OptimizerSpec, results: Mapping[str, Result]) -> Chosen | None:
    """The tuning run with the best primary metric at its end; the earlier one of equals.

    None when no tuning run ended well. Unfinished runs count as not well: call this when
    all are finished.
    """
    if study.settings.search == "published":
        return Chosen(study.points(spec)[0], None)
    metric = study.primary_metric
    sign = 1.0 if metric.direction == "max" else -1.0
    best: tuple[float, Chosen] | None = None
    for point, run in zip(study.points(spec), study.tune_runs(spec), strict=True):
        result = results.get(run.key)
        value = result.last.get(metric.name) if result else None
        if value is not None and (best is None or sign * value > best[0]):
            best = (sign * value, Chosen(point, run))
    return best[1] if best else None


def plan(study: Study, results: Mapping[str, Result]) -> list[Run]:
    """All runs known so far: every tuning run, and the final runs of each tuned optimizer.

    A pure function of declaration and results: calling it again after more results arrived
    yields the next runs, so no phase is stored anywhere.
    """
    tune, final = [], []
    for spec in study.optimizers:
        runs = study.tune_runs(spec)
        tune += runs
        if all(run.key in results for run in runs):
            chosen = select(study, spec, results)
            if chosen is not None:
                final += study.final_runs(spec, chosen.point)
    return tune + final
