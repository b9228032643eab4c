"""`adabelief.diagnostics`: measures against the update itself; each finding on its own case."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adabelief import AdaBelief, diagnostics
from adabelief.diagnostics.logger import scalars
from adabelief.diagnostics.measures import measure, weighted_quantiles
from adabelief.diagnostics.samples import from_optimizer, over_all
from training import Gradients, noise, trained


def kinds(optimizer: AdaBelief) -> list[str]:
    return [finding.kind for finding in diagnostics.optimizer(optimizer).findings()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"eps": 1e-6},
        {"amsgrad": True},
        {"bias_correction": False},
        {"rectify": True},
        {"clip_update": 0.1},
        {"maximize": True},
        {"betas": (0.5, 0.9), "lr": 0.1},
        {"state_dtype": "bfloat16"},
        {"state_dtype": "8bit"},
    ],
    ids=lambda options: ", ".join(f"{k}={v}" for k, v in options.items()) or "plain",
)
@pytest.mark.parametrize("steps", [1, 3, 40])
def test_the_update_that_is_measured_is_the_one_that_was_made(
    options: dict[str, Any], steps: int
) -> None:
    """Recomputed from the state after the step: exact but for what a small state has rounded."""
    small = "state_dtype" in options
    make = noise(300, mean=0.3)
    gradient: Gradients = (lambda step: make(step).float()) if small else make
    optimizer, param = trained(gradient, steps - 1, **options) if steps > 1 else (None, None)
    if optimizer is None or param is None:
        param = nn.Parameter(torch.ones_like(gradient(0)))
        optimizer = AdaBelief([param], **options)
    before = param.detach().clone()
    param.grad = gradient(steps - 1)
    optimizer.step()
    made = (before - param.detach()).double()
    found = diagnostics.optimizer(optimizer, limit=None).whole
    ratio = float(made.norm() / param.detach().double().norm())
    # bfloat16 keeps 8 bits of m, E5M3 4 bits of s: half a unit each, roots halve it; the
    # parameter is 1 and moves by 1e-3: float32 leaves 2e-4 of the difference.
    tolerance = 2**-4 if small else 1e-9
    assert found.update_to_weight == pytest.approx(ratio, rel=tolerance)
    sign = -1 if options.get("maximize") else 1
    grad = sign * gradient(steps - 1).double()
    cosine = float((made * grad).sum() / made.norm() / grad.norm())
    assert found.cos_gradient == pytest.approx(cosine, abs=tolerance)
    assert found.step == steps


def test_step_sizes_are_lr_over_the_denominator() -> None:
    optimizer, param = trained(noise(1000, mean=0.5), 30, lr=0.01, eps=1e-12)
    state = optimizer.state[param]
    denominators = (state["exp_avg_var"] / (1 - 0.999**30)).sqrt() + 1e-12
    found = diagnostics.optimizer(optimizer).whole
    expected = np.quantile((0.01 / denominators).numpy(), [0.05, 0.25, 0.5, 0.75, 0.95])
    # Quantiles of 1,000 values, by two rules: neighbours differ by far less than this.
    assert found.step_size == pytest.approx(expected, rel=0.01)
    assert found.sgd_lr == pytest.approx(0.1 * found.step_size[2], rel=1e-12)
    spread = np.log10(
        np.quantile(denominators.numpy(), 0.95) / np.quantile(denominators.numpy(), 0.05)
    )
    assert found.adaptivity == pytest.approx(spread, rel=0.02)


def test_the_floor_is_the_identity_of_the_paper_s_recursion() -> None:
    """Constant zero gradients: ŝ = ε / (1 − β₂) at every t."""
    optimizer, _ = trained(lambda step: torch.zeros(5, dtype=torch.float64), 7, eps=1e-10)
    found = diagnostics.optimizer(optimizer).whole
    assert found.floor == pytest.approx(math.sqrt(1e-10 / 1e-3) + 1e-10, rel=1e-9)
    assert found.step_size[2] == pytest.approx(1e-3 / found.floor, rel=1e-9)
    assert (found.at_floor, found.no_gradient) == (1.0, 1.0)


def test_the_eps_that_is_advised_frees_the_elements() -> None:
    gradient = noise(2000, scale=1e-4)
    optimizer, _ = trained(gradient, 300, eps=1e-8)
    found = diagnostics.optimizer(optimizer).whole
    assert found.at_floor == 1.0
    assert found.free_eps is not None
    freed, _ = trained(gradient, 300, eps=found.free_eps)
    assert diagnostics.optimizer(freed).whole.at_floor <= 0.1
    kept, _ = trained(gradient, 300, eps=10 * found.free_eps)
    assert diagnostics.optimizer(kept).whole.at_floor > 0.1


CASES: dict[str, tuple[Gradients, int, dict[str, Any]]] = {
    "non_finite": (lambda step: torch.full((4,), math.inf if step == 3 else 1.0), 20, {}),
    "floor": (noise(500, scale=1e-4), 100, {"eps": 1e-8}),
    "large_step": (lambda step: torch.ones(50), 500, {}),
    "no_gradient": (lambda step: torch.zeros(50), 50, {}),
    "uniform": (lambda step: torch.full((50,), float(step % 2)), 400, {}),
    "sign": (noise(500, mean=100.0), 200, {"lr": 1e-3}),
    "large_update": (noise(50), 12, {"lr": 0.5, "betas": (0.5, 0.9)}),
    "frozen_weights": (noise(50), 50, {"lr": 1e-10}),
    "too_early": (noise(50), 4, {}),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_finding_is_found_where_it_is(kind: str) -> None:
    gradient, steps, options = CASES[kind]
    optimizer, _ = trained(gradient, steps, **options)
    assert kind in kinds(optimizer)


def test_ordinary_training_has_no_findings() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 10))
    optimizer = AdaBelief(model.parameters())
    for _ in range(200):
        inputs = torch.randn(64, 20) * torch.linspace(0.2, 3.0, 20)
        optimizer.zero_grad()
        (model(inputs) - inputs[:, :10]).square().mean().backward()
        optimizer.step()
    found = diagnostics.optimizer(optimizer, model)
    assert [finding for finding in found.findings() if finding.name == "all"] == []


def test_the_sentence_has_the_numbers() -> None:
    optimizer, _ = trained(noise(500, scale=1e-4), 200, eps=1e-8)
    (finding,) = diagnostics.optimizer(optimizer).findings()
    assert finding.text == (
        "100 % of the elements sit at the ε floor, where the belief counts for less than ε: this "
        "behaves like SGD with momentum at lr 0.032; eps=1e-12 would free at least 90 % of them"
    )


def test_a_group_is_heard_only_where_not_all_have_it() -> None:
    one, other = nn.Parameter(torch.ones(400)), nn.Parameter(torch.ones(100))
    groups: list[dict[str, Any]] = [{"params": [one]}, {"params": [other], "eps": 1e-6}]
    optimizer = AdaBelief(groups)
    for step in range(100):
        one.grad, other.grad = noise(400)(step).float(), noise(100, scale=1e-3)(step).float()
        optimizer.step()
    found = diagnostics.optimizer(optimizer)
    assert [(f.kind, f.name) for f in found.findings()] == [("floor", "group 1")]
    assert found.whole.at_floor == pytest.approx(0.2)
    assert [group.at_floor for group in found.groups] == [0.0, 1.0]


def test_parameters_alike_are_named_together() -> None:
    params = [nn.Parameter(torch.ones(100)) for _ in range(12)]
    optimizer = AdaBelief(params)
    for step in range(100):
        for index, param in enumerate(params):
            param.grad = noise(100)(13 * step + index).float() if index > 4 else torch.zeros(100)
        optimizer.step()
    no_gradient = [
        f for f in diagnostics.optimizer(optimizer).findings() if f.kind == "no_gradient"
    ]
    assert [finding.name for finding in no_gradient] == ["0.0, 0.1, 0.2 and 2 more"]


@pytest.mark.parametrize("limit", [None, 4096, 500])
def test_samples_stand_for_the_whole(limit: int | None) -> None:
    scales = torch.logspace(-3, 3, 20_000, dtype=torch.float64)
    make = noise(20_000)
    optimizer, _ = trained(lambda step: scales * make(step), 30)
    whole = diagnostics.optimizer(optimizer, limit=None).whole
    some = diagnostics.optimizer(optimizer, limit=limit).whole
    assert some.numel == 20_000
    # Elements in order of size, evenly spaced: quantiles of any sample are near; noise of ŝ
    # after 30 steps is a sixth of it, a tenth of a decade.
    assert np.log10(some.step_size) == pytest.approx(np.log10(whole.step_size), abs=0.1)


def test_elements_weigh_the_same_however_many_are_looked_at() -> None:
    large, small = nn.Parameter(torch.ones(9_000)), nn.Parameter(torch.ones(1_000))
    optimizer = AdaBelief([large, small], eps=1e-8)
    for step in range(60):
        large.grad = noise(9_000)(step).float()
        small.grad = noise(1_000, scale=1e-5)(step).float()
        optimizer.step()
    assert diagnostics.optimizer(optimizer, limit=100).whole.at_floor == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "weights", "share", "expected"),
    [
        ([3.0, 1.0, 2.0], [1.0, 1.0, 1.0], 0.5, 2.0),
        ([3.0, 1.0, 2.0], [1.0, 8.0, 1.0], 0.5, 1.0),
        ([5.0], [2.0], 0.05, 5.0),
        ([1.0, 2.0], [1.0, 1.0], 1.0, 2.0),
    ],
)
def test_weighted_quantiles_by_hand(
    values: Sequence[float], weights: Sequence[float], share: float, expected: float
) -> None:
    assert weighted_quantiles(np.array(values), np.array(weights), (share,)) == (expected,)


def test_a_checkpoint_says_what_its_optimizer_says(tmp_path: Path) -> None:
    model = nn.Linear(30, 4)
    optimizer = AdaBelief(model.named_parameters(), state_dtype="8bit", eps=1e-14)
    for step in range(30):
        model.weight.grad, model.bias.grad = noise(4, 30)(step).float(), noise(4)(step).float()
        optimizer.step()
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    live, saved = diagnostics.optimizer(optimizer, model), diagnostics.checkpoint(path)
    assert [each.name for each in saved.parameters] == ["weight", "bias"]
    for one, other in zip(live.parameters, saved.parameters, strict=True):
        assert one.step_size == other.step_size
        assert one.cos_sign == other.cos_sign
        assert (other.cos_gradient, other.update_to_weight) == (None, None)
    renamed = diagnostics.checkpoint(path, names=["a", "b"])
    assert [each.name for each in renamed.parameters] == ["a", "b"]


def test_the_authors_checkpoint_is_read_too() -> None:
    adabelief_pytorch = pytest.importorskip("adabelief_pytorch")
    param = nn.Parameter(torch.ones(10))
    theirs = adabelief_pytorch.AdaBelief(
        [param], print_change_log=False, rectify=False, eps=1e-8, weight_decouple=True
    )
    for step in range(20):
        param.grad = noise(10, scale=1e-4)(step).float()
        theirs.step()
    found = diagnostics.checkpoint(theirs.state_dict(), source="adabelief-pytorch==0.2.1")
    assert [finding.kind for finding in found.findings()] == ["floor"]


def test_the_logger_looks_every_n_steps_and_stops() -> None:
    class Writer:
        def __init__(self) -> None:
            self.seen: list[tuple[str, float, int]] = []

        def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
            self.seen.append((tag, scalar_value, global_step))

    param = nn.Parameter(torch.ones(10))
    optimizer, writer = AdaBelief([param]), Writer()
    calls: list[int] = []
    one = diagnostics.BeliefLogger(optimizer, writer, every=10)
    other = diagnostics.BeliefLogger(optimizer, lambda numbers, step: calls.append(step), every=25)
    for step in range(30):
        param.grad = noise(10)(step).float()
        optimizer.step()
    one.close()
    other.close()
    optimizer.step()
    assert calls == [25]
    assert sorted({step for _, _, step in writer.seen}) == [10, 20, 30]
    found = scalars(diagnostics.optimizer(optimizer).groups)
    assert {tag.removeprefix("belief/") for tag, _, _ in writer.seen} == found.keys()


def test_looking_changes_nothing() -> None:
    optimizer, param = trained(noise(100), 20, state_dtype=None)
    before = {key: value.clone() for key, value in optimizer.state[param].items()}
    theta, grad = param.detach().clone(), param.grad
    text, content = (
        str(diagnostics.optimizer(optimizer)),
        diagnostics.optimizer(optimizer).as_dict(),
    )
    assert text
    json.dumps(content)
    assert torch.equal(param.detach(), theta)
    assert param.grad is grad
    assert all(torch.equal(value, before[key]) for key, value in optimizer.state[param].items())


def test_what_cannot_be_inspected_is_said() -> None:
    param = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="no parameter has been updated yet"):
        diagnostics.optimizer(AdaBelief([param]))
    adam = torch.optim.Adam([param])
    param.grad = torch.ones(2)
    adam.step()
    with pytest.raises(TypeError, match="must be an AdaBelief, got Adam"):
        diagnostics.optimizer(adam)
    with pytest.raises(ValueError, match="limit must be at least 1, or None, got 0"):
        diagnostics.optimizer(AdaBelief([param]), limit=0)
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        diagnostics.BeliefLogger(AdaBelief([param]), lambda *_: None, every=0)
    ours, _ = trained(noise(3), 1)
    with pytest.raises(ValueError, match="names must be those of the checkpoint's 1 parameters"):
        diagnostics.checkpoint(ours.state_dict(), names=["a", "b"])


def test_measures_of_all_are_those_of_their_elements() -> None:
    """One parameter cut in two: the same elements, so the same measures."""
    make = noise(60, mean=0.2)
    whole, _ = trained(make, 30)
    parts = [
        nn.Parameter(torch.ones(20, dtype=torch.float64)),
        nn.Parameter(torch.ones(40, dtype=torch.float64)),
    ]
    optimizer = AdaBelief(parts)
    for step in range(30):
        parts[0].grad, parts[1].grad = make(step).split([20, 40])
        optimizer.step()
    one = measure("all", from_optimizer(whole))
    two = measure("all", from_optimizer(optimizer))
    assert one.step_size == two.step_size
    assert two.cos_gradient == pytest.approx(one.cos_gradient, rel=1e-12)
    assert two.update_to_weight == pytest.approx(one.update_to_weight, rel=1e-12)
    assert (one.tensors, two.tensors) == (1, 2)


def test_elements_over_all_parameters_are_evenly_spaced() -> None:
    params = [nn.Parameter(torch.zeros(n)) for n in (7, 1, 100, 3, 50)]
    optimizer = AdaBelief(params)
    position = 0
    for param in params:
        param.grad = torch.arange(position, position + len(param), dtype=torch.float32)
        position += len(param)
    optimizer.step()
    (one,) = over_all(optimizer, 20)  # 161 elements: every 9th, from the middle of the first 9
    assert one.grad is not None
    assert one.grad.tolist() == list(range(4, 161, 9))
    assert one.weight == 9
    (whole,) = over_all(optimizer, 161)
    assert measure("all", [whole]) == replace(
        measure("all", from_optimizer(optimizer, limit=None)), tensors=1
    )


def test_parameters_at_another_step_are_looked_at_by_themselves() -> None:
    late, early = nn.Parameter(torch.zeros(10)), nn.Parameter(torch.zeros(10))
    optimizer = AdaBelief([late, early])
    for used in ([early], [early, late]):
        for param in (late, early):
            param.grad = torch.ones(10) if any(param is one for one in used) else None
        optimizer.step()
    assert sorted(one.step for one in over_all(optimizer, 100)) == [1, 2]
