"""The example of a user's own workload: it builds, and takes a step."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from adabelief_lab.declare.workload import Workload
from adabelief_lab.tasks.supervised import Supervised
from paths import EXAMPLES

EXAMPLE = EXAMPLES / "own_model.py"


@pytest.fixture(scope="module")
def workload() -> Workload:
    spec = importlib.util.spec_from_file_location("own_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.workload


@pytest.mark.parametrize("name", ["quick", "smoke"])
def test_it_builds_steps_and_evaluates(workload: Workload, name: str) -> None:
    task = workload.build(workload.presets[name], 3, 4)
    model = task.modules["model"]
    before = [parameter.clone() for parameter in model.parameters()]
    task.step(0, {"model": torch.optim.SGD(model.parameters(), lr=0.1)})
    assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert set(task.evaluate("test")) == {metric.name for metric in workload.metrics}
    assert workload.primary in task.evaluate("valid")


def test_seeds_are_kept_apart(workload: Workload) -> None:
    def built(init_seed: int, data_seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        task = workload.build(workload.presets["smoke"], init_seed, data_seed)
        assert isinstance(task, Supervised)
        return next(task.modules["model"].parameters()), task.batch(0)[1]

    weights, order = built(1, 2)
    assert torch.equal(built(1, 9)[0], weights)
    assert torch.equal(built(9, 2)[1], order)
    assert not torch.equal(built(9, 2)[0], weights)
    assert not torch.equal(built(1, 9)[1], order)


def test_it_is_short_enough_to_read(workload: Workload) -> None:
    assert workload.data
    assert len(EXAMPLE.read_text().splitlines()) <= 60
