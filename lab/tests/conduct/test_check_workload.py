"""`adabelief check`: a good workload keeps every promise, and each broken one is found alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.conduct.check_workload import check
from adabelief_lab.declare.workload import Metric, Preset, Split, Workload
from adabelief_lab.tasks.supervised import CLASSIFICATION, Supervised
from lab_paths import TINY

PRESET = Preset(steps=60, eval_every=10, trials=2, seeds=2)
PROMISES = 14


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two classes that a linear model tells apart."""
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 6, generator=random)
    return inputs, (inputs.sum(dim=1) > 0).long()


class Good(Supervised):
    """What all the others are, but for one thing."""

    def __init__(self, init_seed: int, data_seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(init_seed)
            # Dropout: a run that goes on needs torch's random numbers as they were.
            model = nn.Sequential(
                nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2)
            )
        super().__init__(
            model,
            train=data(200, 0),
            valid=data(100, 1),
            test=data(100, 2),
            batch_size=16,
            data_seed=data_seed,
        )


class UnseededWeights(Good):
    def __init__(self, init_seed: int, data_seed: int) -> None:
        super().__init__(init_seed, data_seed)
        fresh = torch.Generator()
        fresh.seed()
        nn.init.normal_(next(self.modules["model"].parameters()), generator=fresh)


class DataSeedInWeights(Good):
    def __init__(self, init_seed: int, data_seed: int) -> None:
        super().__init__(init_seed + data_seed, data_seed)


class OneWeight(Good):
    def __init__(self, init_seed: int, data_seed: int) -> None:
        super().__init__(0, data_seed)


class OneOrder(Good):
    def __init__(self, init_seed: int, data_seed: int) -> None:
        super().__init__(init_seed, 0)


class Noise(Good):
    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        fresh = torch.Generator()
        fresh.seed()
        with torch.no_grad():
            for param in self.modules["model"].parameters():
                param.add_(1e-3 * torch.randn(param.shape, generator=fresh))
        return super().step(index, optimizers)


class Forgetful(Good):
    """Its next batch depends on how many it has made: lost when the process is."""

    def __init__(self, init_seed: int, data_seed: int) -> None:
        super().__init__(init_seed, data_seed)
        self.made = 0

    def step(self, index: int, optimizers: Mapping[str, Optimizer]) -> Mapping[str, Tensor]:
        self.made += 1
        return super().step(self.made, optimizers)


class TrainsOnTest(Good):
    def evaluate(self, split: Split) -> Mapping[str, float]:
        found = super().evaluate(split)
        self.modules["model"](self._splits[split][0])  # in training mode: moves batch statistics
        return found


class StaysInEval(Good):
    def evaluate(self, split: Split) -> Mapping[str, float]:
        found = super().evaluate(split)
        self.modules["model"].eval()
        return found


class DrawsWhileEvaluating(Good):
    def evaluate(self, split: Split) -> Mapping[str, float]:
        torch.rand(1)
        return super().evaluate(split)


class RandomMetric(Good):
    def __init__(self, init_seed: int, data_seed: int) -> None:
        super().__init__(init_seed, data_seed)
        self.fresh = torch.Generator()
        self.fresh.seed()

    def evaluate(self, split: Split) -> Mapping[str, float]:
        jitter = torch.rand(1, generator=self.fresh).item()
        return {**super().evaluate(split), "accuracy": jitter}


class OneSplit(Good):
    def evaluate(self, split: Split) -> Mapping[str, float]:
        return super().evaluate("valid")


class Raises(Good):
    def evaluate(self, split: Split) -> Mapping[str, float]:
        if split == "test":
            msg = "no test data here"
            raise FileNotFoundError(msg)
        return super().evaluate(split)


def workload(task: type[Good], **changes: object) -> Workload:
    whole = Workload(
        name="toy",
        build=lambda preset, init_seed, data_seed: task(init_seed, data_seed),
        metrics=CLASSIFICATION,
        primary="accuracy",
        presets={"smoke": PRESET},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_a_good_workload_keeps_every_promise() -> None:
    found = list(check(workload(Good), PRESET))
    assert len({finding.check for finding in found}) == len(found) == PROMISES
    assert [(finding.state, finding.detail) for finding in found] == [("passed", "")] * PROMISES


@pytest.mark.parametrize(
    ("task", "name", "detail"),
    [
        (UnseededWeights, "equal seeds give equal weights", "differ in model.0.weight"),
        (DataSeedInWeights, "the data seed does not touch the weights", "changed model.0.weight"),
        (OneWeight, "another init seed gives other weights", "all runs begin alike"),
        (OneOrder, "another data seed gives other batches", "gave the same losses"),
        (Noise, "equal seeds give equal training, bit for bit", "the losses of step 1 were"),
        (Forgetful, "a run that was killed goes on", "must be in Task.state_dict"),
        (TrainsOnTest, "evaluation does not train", "evaluate changed model.1.running_mean"),
        (StaysInEval, "evaluation leaves modes as they were", "in another mode"),
        (RandomMetric, "evaluation repeats itself", "twice in a row"),
        (RandomMetric, "equal models are evaluated equal", "accuracy"),
        (Raises, "Evaluation only looks", "FileNotFoundError: no test data here"),
    ],
)
def test_a_failed_check_is_named(task: type[Good], name: str, detail: str) -> None:
    broken = [each for each in check(workload(task), PRESET) if each.state == "failed"]
    (finding,) = [each for each in broken if each.check.startswith(name)]
    assert detail in finding.detail


@pytest.mark.parametrize(
    ("task", "name", "detail"),
    [
        (DrawsWhileEvaluating, "evaluation draws no random numbers", "global generators"),
        (OneSplit, "valid and test are different data", "the same examples?"),
    ],
)
def test_what_may_be_right_is_only_asked(task: type[Good], name: str, detail: str) -> None:
    found = list(check(workload(task), PRESET))
    (finding,) = [each for each in found if each.state != "passed"]
    assert (finding.check, finding.state) == (name, "inconclusive")
    assert detail in finding.detail


def test_a_metric_in_the_wrong_direction_is_asked_about() -> None:
    upside_down = (Metric(name="accuracy", direction="min"), CLASSIFICATION[1])
    found = list(check(workload(Good, metrics=upside_down), PRESET))
    (finding,) = [each for each in found if each.state != "passed"]
    assert finding.check == "the primary metric improves in its direction"
    assert 'declared is direction="min"' in finding.detail


def test_what_cannot_be_built_ends_the_check() -> None:
    def build(preset: Preset, init_seed: int, data_seed: int) -> Supervised:
        msg = "no such data"
        raise OSError(msg)

    (finding,) = check(workload(Good, build=build), PRESET)
    assert finding.state == "failed"
    assert "OSError: no such data" in finding.detail


def test_the_command_says_what_it_found_and_ends_with_it() -> None:
    runner = CliRunner()
    ended = runner.invoke(app, ["check", f"{TINY}:workload", "--json"])
    found = json.loads(ended.stdout)
    assert len(found) == PROMISES
    assert ended.exit_code == int(any(each["state"] == "failed" for each in found))
    shown = runner.invoke(app, ["check", f"{TINY}:workload"])
    assert f"{PROMISES} checks" in shown.stdout
