"""Workloads of users: found, loaded, and refused with what is wrong about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.workload import Metric, Preset, Split, Task, Workload
from adabelief_lab.run.validate import WorkloadError, dry_run
from adabelief_lab.workloads.load import load_workload
from lab_paths import TINY

PRESET = Preset(steps=2, eval_every=1, trials=1, seeds=1)


class Odd(Task):
    """Returns whatever it is told to."""

    def __init__(self, modules: Any, logged: Any, metrics: Any) -> None:
        self.modules, self.logged, self.metrics = modules, logged, metrics

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Any:
        return self.logged

    def evaluate(self, split: Split) -> Any:
        return self.metrics


def odd(
    modules: Any = None, logged: Any = None, metrics: Any = None, primary: str = "accuracy"
) -> Workload:
    modules = {"model": nn.Linear(1, 1)} if modules is None else modules
    logged = {"loss": torch.tensor(1.0)} if logged is None else logged
    metrics = {"accuracy": 0.5} if metrics is None else metrics
    declared = (Metric(name="accuracy", direction="max"),)
    return Workload("odd", lambda *_: Odd(modules, logged, metrics), declared, primary, {})


def test_a_right_workload_is_accepted() -> None:
    dry_run(odd(), PRESET)
    dry_run(odd(logged={"loss": 1, "more": "text"}, metrics={"accuracy": 1, "b": []}), PRESET)


frozen = nn.Linear(1, 1).requires_grad_(requires_grad=False)
WRONG = [
    (odd(modules={}), r"build must return a Task whose modules are a mapping .* nothing"),
    (odd(modules=[nn.Linear(1, 1)]), r"build must return a Task whose modules .* got list"),
    (odd(modules={"a": 3}), r"build must return a torch module as modules\['a'\], got int 3"),
    (odd(modules={"a": frozen}), r"modules\['a'\] has nothing to train"),
    (odd(logged=torch.tensor(1.0)), r'step must return a mapping with "loss", got Tensor'),
    (odd(logged={"los": 1.0}), r'step must return a mapping with "loss", got a mapping with los'),
    (odd(logged={"loss": torch.ones(3)}), r"step must return one number as 'loss', got Tensor"),
    (odd(logged={"loss": "low"}), r"step must return one number as 'loss', got str 'low'"),
    (odd(metrics={"acc": 1.0}), r"evaluate must return a mapping with accuracy, got .* acc"),
    (odd(metrics={"accuracy": None}), r"evaluate must return one number as 'accuracy', got None"),
    (odd(primary="speed"), r"primary 'speed' is not among accuracy"),
]


@pytest.mark.parametrize(("workload", "message"), WRONG)
def test_a_wrong_workload_is_refused_with_what_it_returned(
    workload: Workload, message: str
) -> None:
    with pytest.raises(WorkloadError, match=f"workload 'odd': {message}"):
        dry_run(workload, PRESET)


def test_a_study_that_goes_on_is_not_evaluated_beforehand_but_built_and_trained() -> None:
    dry_run(odd(metrics={"accuracy": None}), PRESET, evaluate=False)
    with pytest.raises(WorkloadError, match="step must return a mapping with"):
        dry_run(odd(logged="nothing"), PRESET, evaluate=False)


def test_a_build_that_returns_something_else_is_named() -> None:
    wrong = load_workload(f"{TINY}:wrong_task").workload
    with pytest.raises(WorkloadError, match="build must return a Task, got int 3"):
        dry_run(wrong, PRESET)


def test_an_exception_in_a_workload_is_named() -> None:
    def build(*_: object) -> Task:
        raise KeyError("missing")

    with pytest.raises(LabError, match="workload 'bad' raised KeyError: 'missing'"):
        dry_run(Workload("bad", build, odd().metrics, "accuracy", {}), PRESET)


def test_unknown_workloads_get_the_closest_names() -> None:
    with pytest.raises(LabError, match="unknown workload 'fashion-mist': did you mean fashion-mn"):
        load_workload("fashion-mist")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere.py:workload", "there is no file nowhere.py"),
        (str(TINY), "say which workload in it"),
        (f"{TINY}:work", "named 'work', it has nothing of that name; .*: workload, wrong_task"),
        (f"{TINY}:not_a_workload", "named 'not_a_workload', it has a int"),
    ],
)
def test_a_file_without_that_workload_is_named(reference: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        load_workload(reference)


def test_a_file_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_package\n")
    with pytest.raises(LabError, match=r"broken\.py could not be imported: ModuleNotFoundError"):
        load_workload(f"{broken}:workload")


def test_a_changed_file_is_another_workload(tmp_path: Path) -> None:
    copy = tmp_path / "tiny.py"
    copy.write_bytes(TINY.read_bytes())
    assert load_workload(f"{copy}:workload").hash == load_workload(f"{TINY}:workload").hash
    copy.write_bytes(TINY.read_bytes() + b"\n")
    assert load_workload(f"{copy}:workload").hash != load_workload(f"{TINY}:workload").hash


def test_a_function_may_return_the_workload(tmp_path: Path) -> None:
    file = tmp_path / "functions.py"
    file.write_text(
        "from adabelief_lab.workloads import WORKLOADS\n"
        "def good(): return WORKLOADS['fashion-mnist']\n"
        "def nothing(): pass\n"
        "def raises(): return 1 / 0\n"
    )
    assert load_workload(f"{file}:good").workload is load_workload("fashion-mnist").workload
    assert load_workload(f"{file}:good").source.endswith("functions.py:good")
    with pytest.raises(LabError, match="'nothing', it has a function that returns a NoneType"):
        load_workload(f"{file}:nothing")
    with pytest.raises(LabError, match=r"raises\(\) raised ZeroDivisionError"):
        load_workload(f"{file}:raises")
