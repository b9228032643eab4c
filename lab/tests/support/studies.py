"""Small studies for the tests of analysis and report, built by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adabelief_lab.declare.search_space import LogRange
from adabelief_lab.declare.study import Result, Run, RunRecord, Study
from adabelief_lab.declare.workload import Metric, Preset
from adabelief_lab.optimizers import OptimizerSpec

# One entry for each seed: a value, "diverged", "failed", or None for a run that is pending.
End = float | Literal["diverged", "failed"] | None


def spec(name: str, label: str = "") -> OptimizerSpec:
    return OptimizerSpec(
        name=name,
        label=label or name.title(),
        implementation=f"torch.optim:{name.title()}",
        defaults={"eps": 1e-8},
        space={"lr": LogRange(low=1e-4, high=1e-2)},
        source="chosen for the test",
    )


def study(
    names: Sequence[str] = ("ours", "adam"),
    seeds: int = 6,
    trials: int = 3,
    direction: Literal["min", "max"] = "max",
    **changes: Any,
) -> Study:
    declared: dict[str, Any] = {
        "workload": "toy",
        "workload_hash": "",
        "source": "",
        "title": "Toy",
        "data": "made up",
        "metrics": (
            Metric(name="score", direction=direction),
            Metric(name="other", direction="min"),
        ),
        "primary": "score",
        "preset": "quick",
        "settings": Preset(steps=20, eval_every=10, trials=trials, seeds=seeds),
        "optimizers": tuple(spec(name) for name in names),
        "baseline": names[0],
    }
    return Study.model_validate(declared | changes)


def record(run: Run, end: End, **changes: Any) -> RunRecord:
    """A finished run that evaluated twice; its best evaluation is the first, by 1."""
    if end is None:
        return RunRecord(run, None)
    if isinstance(end, str):
        rows = [{"step": 10, "split": "train", "loss": 2.0}]
        result = Result(status=end, reason="as told", step=12, seconds=1.0, eval_seconds=0.5)
        return RunRecord(run, result.model_copy(update=changes), rows)
    last: dict[str, float | None] = {"score": end, "other": 2 * end}
    curve: list[Mapping[str, Any]] = [
        {"step": 10, "split": "train", "loss": 2.0},
        {"step": 10, "split": run.split, "score": end + 1, "other": 0.0},
        {"step": 20, "split": "train", "loss": 1.0},
        {"step": 20, "split": run.split, "score": end, "other": 2 * end},
    ]
    result = Result(status="ok", step=20, last=last, seconds=2.0, eval_seconds=0.5)
    return RunRecord(run, result.model_copy(update=changes), curve)


def tuned(declared: Study, name: str, ends: Sequence[End]) -> list[RunRecord]:
    """Records of the optimizer's trials."""
    runs = declared.tune_runs(declared.optimizer(name))
    return [record(run, end) for run, end in zip(runs, ends, strict=True)]


def final(declared: Study, name: str, lr: float, ends: Sequence[End]) -> list[RunRecord]:
    """Records of the optimizer's final runs at that learning rate."""
    runs = declared.final_runs(declared.optimizer(name), {"lr": lr})
    return [record(run, end) for run, end in zip(runs, ends, strict=True)]


def records(declared: Study, finals: Mapping[str, Sequence[End]]) -> list[RunRecord]:
    """Each optimizer tuned to the middle of its three trials, then its final runs."""
    found = []
    for name, ends in finals.items():
        sign = 1.0 if declared.primary_metric.direction == "max" else -1.0
        found += tuned(declared, name, [0.0, sign, -sign])
        found += final(declared, name, 1e-3, ends)
    return found
