"""Theorems 2.1 and 2.2: the bound by hand, the play step by step, best points, fits, verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adabelief_lab.paper import record
from adabelief_lab.paper.catalogue import EXHIBITS
from adabelief_lab.paper.theorems import theorem21, theorem22
from adabelief_lab.paper.theorems import theorem21 as claims
from adabelief_lab.paper.theorems.bound import (
    LAMBDA,
    Setting,
    corollary_term,
    direct_term,
    first_term,
    second_term,
    third_term,
)
from adabelief_lab.paper.theorems.growth import slopes
from adabelief_lab.paper.theorems.nonconvex import PROBLEMS, RareNoise, Sigmoid, Waves, descend
from adabelief_lab.paper.theorems.online import DIMENSION, FAMILIES, SETS, Quadratic, project
from adabelief_lab.paper.theorems.online_optimizer import deviation
from adabelief_lab.paper.theorems.periodic import EXAMPLES, mean_regrets
from adabelief_lab.paper.theorems.regret import play
from adabelief_lab.paper.theorems.theorem21 import Numbers, numbers
from adabelief_lab.paper.theorems.theorem22 import Descent, monotone_claim, rate_claim, rate_slope

U = np.finfo(np.float64).eps / 2
HALF = Setting("β₁/t", beta1=0.5, eps=0.25, lr=0.5, beta2=0.5)


def test_the_bounds_terms_by_hand() -> None:
    # s_T = (4, 9); gradients (1, 2) and (3, 0), so that Σ g⁴ = (82, 16); D∞ = 2, c = 1/4, T = 2
    assert first_term(HALF, 2.0, 2, np.array(2.0 + 3.0)) == pytest.approx(40 * math.sqrt(2))
    norms = np.array(math.sqrt(82) + 4)
    expected = 6 * math.sqrt(1 + math.log(2)) * (math.sqrt(82) + 4)
    assert second_term(HALF, np.array(0.25), 2, norms) == pytest.approx(expected)
    squares = np.array((1 + 4) + (9 + 0) / math.sqrt(2))
    assert direct_term(HALF, np.array(0.25), squares) == pytest.approx(6 * (5 + 9 / math.sqrt(2)))
    # roots (1, 2) at t = 1 and (2, 3) at t = 2, β₁ₜ = 1/2 and 1/4
    weighted = np.array(0.5 * 3 + 0.25 * math.sqrt(2) * 5)
    assert third_term(HALF, 2.0, weighted) == pytest.approx(8 * (1.5 + 1.25 * math.sqrt(2)))
    expected = 4 * 0.5 * 3 / (2 * 0.5 * (1 - LAMBDA) ** 2 * 0.5)
    assert corollary_term(HALF, 2.0, np.array(3.0)) == pytest.approx(expected)


def test_schedules_begin_with_beta1_and_fall() -> None:
    steps = np.array([1.0, 2.0, 4.0])
    assert Setting("constant", 0.8, 0.0).beta1s(steps) == pytest.approx([0.8, 0.8, 0.8])
    assert Setting("β₁/t", 0.8, 0.0).beta1s(steps) == pytest.approx([0.8, 0.4, 0.2])
    falling = [0.8, 0.8 * LAMBDA, 0.8 * LAMBDA**3]
    assert Setting("β₁ λᵗ⁻¹", 0.8, 0.0).beta1s(steps) == pytest.approx(falling)


@pytest.mark.parametrize("amsgrad", [True, False])
def test_what_is_added_up_in_three_steps_is_what_floats_one_by_one_add_up(amsgrad: bool) -> None:
    (played,) = play([HALF], 1, "box", [3], amsgrad=amsgrad, families=(Quadratic,))
    totals, drawn = played.totals, Quadratic(1).draw(3)[:, 0]
    loss = fourth = squares = roots = surprise = rise = 0.0
    variances = []
    for i in range(DIMENSION):
        theta = m = s = largest = own_fourth = 0.0
        for t in (1, 2, 3):
            g, beta1 = theta - drawn[t - 1, i], 0.5 / t
            loss += 0.5 * g**2
            m = beta1 * m + (1 - beta1) * g
            s = 0.5 * s + 0.5 * (g - m) ** 2 + 0.25
            kept = max(largest, s) if amsgrad else s
            rise, largest = max(rise, t if kept > largest else 0), kept
            theta = min(max(theta - 0.5 / math.sqrt(t) * m / (math.sqrt(kept) + 0.25), -1), 1)
            own_fourth += g**4
            squares += g**2 / math.sqrt(t)
            roots += beta1 * math.sqrt(t) * math.sqrt(kept)
            surprise = max(surprise, abs(g - m))
        fourth += own_fourth
        variances.append(largest)

    # A few hundred roundings of positive terms.
    def near(value: float) -> Any:
        return pytest.approx(value, rel=1000 * U)

    assert totals.losses.item() == near(loss)
    assert totals.fourth_powers.sum() == near(fourth)
    assert totals.weighted_squares.item() == near(squares)
    assert totals.weighted_roots.item() == near(roots)
    assert totals.surprise.item() == near(surprise)
    assert totals.rise.item() == rise
    assert totals.last_var.ravel() == near(variances)  # type: ignore[arg-type]
    best = np.clip(drawn.mean(0), -1, 1)
    assert played.regret.item() == pytest.approx(loss - 0.5 * ((best - drawn) ** 2).sum())


@pytest.mark.parametrize("feasible", SETS)
def test_the_play_is_that_of_the_optimizer(feasible: str) -> None:
    steps = 150 if feasible == "box" else 60
    # Some 20 roundings in a step of numbers below 4, and no step makes earlier differences larger
    # than the gradients of convex losses do, which pull players together.
    assert deviation(theorem21.SETTINGS, 2, feasible, steps) <= steps * 20 * U * 4


@pytest.mark.parametrize("feasible", SETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_point_of_the_set_is_better_than_the_best(family: Any, feasible: str) -> None:
    losses = family(2)
    drawn = losses.draw(500)
    theta, total, gain = losses.best(feasible)
    assert project(feasible, theta) == pytest.approx(theta)
    assert losses.loss(theta, drawn).sum(0) == pytest.approx(total)
    assert (gain <= 1e-3).all()
    random = np.random.default_rng(0)
    near = theta + random.normal(0, 0.1, (200, 1, *theta.shape))
    others = np.concatenate([near, random.uniform(-1, 1, near.shape)])
    totals = losses.loss(project(feasible, others), drawn).sum(1)
    assert (totals >= total - gain).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_subgradients_within_their_bound(family: Any) -> None:
    losses, random = family(3), np.random.default_rng(0)
    drawn = losses.draw(400)
    here, there = random.uniform(-1, 1, (2, 400, 3, DIMENSION))
    gradient = losses.gradient(here, drawn)
    assert np.abs(gradient).max() <= losses.bound
    below = losses.loss(here, drawn) + ((there - here) * gradient).sum(-1)
    assert (losses.loss(there, drawn) >= below - 1e-12).all()


def test_the_slope_of_powers_is_their_exponent() -> None:
    times = [100, 300, 5000, 10**6]
    values = np.stack([3 * np.sqrt(times), 0.1 * np.array(times, dtype=float) ** 1.5], axis=1)
    assert slopes(times, values) == pytest.approx([0.5, 1.5], rel=100 * U)
    with pytest.raises(ValueError, match="must be > 0 to have a logarithm, got 0"):
        slopes(times, np.array([1.0, 1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match="two times or more, one for each, got 1"):
        slopes([1], np.ones(1))


class Steeper(Quadratic):
    bound = 0.5  # which is wrong


def small(amsgrad: bool = True, families: Any = FAMILIES) -> Numbers:
    times = [100, 300]
    played = play(theorem21.SETTINGS, 4, "box", times, amsgrad=amsgrad, families=families)
    return numbers("box", theorem21.SETTINGS, played, families)


def test_settings_of_one_play_share_what_is_a_number_there() -> None:
    text = r"must have one lr and one beta2, got \[\(0\.1, 0\.5\), \(0\.5, 0\.5"
    with pytest.raises(ValueError, match=text):
        play([HALF, replace(HALF, lr=0.1)], 1, "box", [1])


def test_the_bound_holds_and_its_assumptions_are_looked_at() -> None:
    run = small()
    assert claims.bound_claim([run]).verdict == "holds"
    assert 0 < run.steepest <= 1
    assert run.telescopes == (True, False, False, True, True, True)
    without = small(amsgrad=False)
    assert not without.monotone
    assert "and s fell" in claims.bound_claim([run, without]).measured
    assert claims.bound_claim([run, without]).verdict == "does not hold"
    wrong = small(families=(Steeper,))
    assert wrong.steepest > 1
    assert claims.bound_claim([wrong]).verdict == "does not hold"
    for changed in ({"regret": run.bound * 1.01}, {"surprise": 1.1}, {"least": 0.9}):
        assert claims.bound_claim([replace(run, **changed)]).verdict == "does not hold"


def grown(run: Numbers, exponent: float, **changed: Any) -> Numbers:
    """The same with horizons for a fit, and regrets that grow as T to that power."""
    times = np.array([1000, 10_000, 100_000])
    first = {
        name: np.repeat(getattr(run, name)[:1], 3, axis=0)
        for name in ("terms", "direct", "corollary", "trivial")
    }
    noise = 1 + 0.01 * np.random.default_rng(0).normal(size=(3, *run.regret.shape[1:]))
    regret = noise * (times.reshape(-1, 1, 1, 1) / 1000.0) ** exponent
    return replace(run, times=times, regret=regret, **{**first, **changed})


def test_verdicts_on_growth_go_both_ways() -> None:
    run = small()
    assert claims.growth_claim(grown(run, 0.5)).verdict == "holds"
    assert claims.growth_claim(grown(run, 0.8)).verdict == "does not hold"
    mixed = grown(run, 0.5)
    mixed.regret[:, 0, :, 1] **= 1.6
    assert claims.growth_claim(mixed).verdict == "holds in part"
    power = np.array([1, 10, 100]).reshape(-1, 1, 1, 1)
    flat = grown(run, 0.5)
    terms = flat.terms * np.sqrt(power)[:, None]
    direct = flat.direct * np.sqrt(power)
    said = [
        claims.bound_growth_claim(replace(flat, terms=t, direct=d)).verdict
        for t, d in (
            (terms, direct),
            (terms * power[:, None] ** 0.1, direct),
            (terms * power[:, None] ** 0.1, direct * power**0.1),
        )
    ]
    assert said == ["holds", "holds in part", "does not hold"]
    assert claims.constant_claim(replace(flat, terms=terms)).verdict == "holds"
    steep = replace(flat, terms=flat.terms * power[:, None] ** 1.5)
    assert claims.constant_claim(steep).verdict == "does not hold"


def test_other_verdicts_of_theorem_21_go_both_ways() -> None:
    run = small()
    assert claims.corollary_claim([run], 0.9, 10).verdict == "holds"
    assert claims.corollary_claim([run], 1.1, 10).verdict == "holds in part"
    above = replace(run, regret=2 * run.bound + 2 * run.corollary)
    assert claims.corollary_claim([above], 0.9, 10).verdict == "does not hold"
    assert claims.frozen_claim(run).verdict == "does not hold"
    full = replace(run, final_var=np.ones_like(run.final_var))
    assert claims.frozen_claim(full).verdict == "holds"
    assert claims.loose_claim(run).verdict == "holds"
    assert claims.loose_claim(replace(run, regret=run.bound / 2)).verdict == "does not hold"
    falls, rises = [1.0, 0.1], [1.0, 1.1]
    for change, kept, expected in (
        (rises, falls, "holds"),
        (falls, falls, "does not hold"),
        (rises, rises, "does not hold"),
    ):
        found = {"β₁/t": {"without": change, "with": kept}}
        assert claims.periodic_claim(found).verdict == expected
        assert claims.vanishing_claim([1, 2], found, 1e-16).verdict == expected


def test_without_the_maximum_the_periodic_loss_is_never_learnt() -> None:
    assert mean_regrets(EXAMPLES[0], [1], amsgrad=True) == pytest.approx([3.0])  # 0 − (−3)
    times = [300, 3000]
    without, kept = (mean_regrets(EXAMPLES[0], times, amsgrad=each) for each in (False, True))
    # At x = 1 the mean loss is (3 − 2) / 3, at x = −1 it is −1/3.
    assert without == pytest.approx([2 / 3, 2 / 3], abs=0.03)
    assert kept[1] < kept[0] / 2


@pytest.mark.parametrize("problem", PROBLEMS)
def test_noisy_gradients_are_unbiased_and_bounded(problem: Any) -> None:
    made = problem(4)
    theta = np.random.default_rng(0).uniform(-1, 1, (4, DIMENSION))
    if isinstance(made, Sigmoid):
        rows = np.broadcast_to(made.rows[:, None], (len(made.rows), 4, DIMENSION))
        mean = np.mean([made.noisy(theta, drawn) for drawn in rows], axis=0)
        point = torch.from_numpy(theta).requires_grad_()
        right = torch.sigmoid(point @ torch.from_numpy(made.rows).T)
        (1 - right).square().mean(1).sum().backward()
        assert point.grad is not None
        assert made.gradient(theta) == pytest.approx(point.grad.numpy())
    else:
        assert sum(value * chance for value, chance in made.noise) == pytest.approx(0)
        assert sum(chance for _, chance in made.noise) == 1
        mean = made.noisy(theta, np.zeros_like(theta))
        assert made.gradient(theta) == pytest.approx(2 * np.sin(theta) * np.cos(theta))
    assert mean == pytest.approx(made.gradient(theta))
    path = descend(made, [1, 50], amsgrad=True)
    assert path.squares.shape == (2, 4)
    assert path.steepest <= made.bound()
    assert path.least >= 1e-8


def descent(problem: str, exponent: float, **changed: Any) -> Descent:
    times = [1000, 10_000, 100_000]
    spread = 1 + 0.001 * np.arange(8)
    least = spread * np.array(times, dtype=float)[:, None] ** exponent
    options: Mapping[str, Any] = {
        "amsgrad": True,
        "steepest": 1.0,
        "bound": 1.0,
        "c": 1.0,
        "last": 1.0,
        **changed,
    }
    return Descent(problem, times=times, least=least, **options)


def test_verdicts_of_theorem_22_go_both_ways() -> None:
    rate = rate_slope([1000, 10_000, 100_000])
    assert rate == pytest.approx(-0.5 + math.log(5 / 3) / math.log(100), rel=1e-12)
    fast, slow = descent(Waves.name, -0.5), descent(Sigmoid.name, -0.2)
    assert rate_claim([fast]).verdict == "holds"
    assert rate_claim([fast, slow]).verdict == "holds in part"
    assert rate_claim([slow]).verdict == "does not hold"
    assert rate_claim([replace(fast, steepest=1.1)]).verdict == "does not hold"
    kept = descent(RareNoise.name, -0.5)
    stays, falls = (descent(RareNoise.name, p, amsgrad=False) for p in (0.0, -0.5))
    assert monotone_claim([kept, stays]).verdict == "holds"
    assert monotone_claim([kept, falls]).verdict == "does not hold"
    assert monotone_claim([descent(RareNoise.name, 0.0), stays]).verdict == "does not hold"


@pytest.mark.parametrize("name", ["theorem2.1", "theorem2.2"])
def test_the_exhibit_is_made_drawn_and_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theorem21, "HORIZONS", {"box": 2000, "ball": 150})
    monkeypatch.setattr(theorem21, "COMPARED", {"box": 50, "ball": 10})
    monkeypatch.setattr(theorem21, "DROPPED", 2000)
    monkeypatch.setattr(theorem22, "LAST", 2000)
    exhibit = EXHIBITS[name]
    made = record.make(exhibit, tmp_path)
    read = record.read_record(tmp_path)
    assert read is not None
    assert read.findings.claims == made.findings.claims
    assert made.findings.claims
    assert made.drawings
    for drawing in made.drawings:
        for kind in drawing["formats"]:
            picture = (tmp_path / f"{drawing['name']}.{kind}").read_bytes()
            assert picture.startswith(b"\x89PNG" if kind == "png" else b"%PDF")
