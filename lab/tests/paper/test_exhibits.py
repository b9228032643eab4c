"""The exhibits' numbers: by hand, by closed forms, by the reference, and verdicts both ways."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adabelief import reference
from adabelief_lab.paper import (
    eq5,
    fig1_regions,
    fig2,
    floor,
    floor_training,
    previous_residual,
    table1,
)
from adabelief_lab.paper.closed_form_moments import BETAS, EPS, alternating, constant, moments
from adabelief_lab.paper.fig1 import OPTIMIZERS
from adabelief_lab.paper.fig1_regions import CASES, Case

UNIT = np.finfo(np.float64).eps / 2


def test_moments_of_two_steps_by_hand() -> None:
    # β₁ = β₂ = 1/2, ε = 0, g = 4, 6: m = 2, 4; m̂ = 4, 16/3; s = 2, 3; ŝ = 4, 4; v = 8, 22
    found = moments(np.array([[4.0], [6.0]]), (0.5, 0.5), 0.0)
    np.testing.assert_array_equal(found.exp_avg[:, 0], [4, 16 / 3])
    np.testing.assert_array_equal(found.exp_avg_var[:, 0], [4, 4])
    np.testing.assert_array_equal(found.exp_avg_sq[:, 0], [16, 22 / 0.75])


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.3, 0.3), (0.5, 0.9)])
@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_closed_forms_are_the_recursions(betas: tuple[float, float], eps: float) -> None:
    steps = 300
    grads = np.ones((steps, 2))
    grads[::2, 1] = -1
    found = moments(grads, betas, eps).exp_avg_var
    times = np.arange(1.0, steps + 1)
    exact = np.stack([constant(times, betas, eps), alternating(times, betas, eps)], axis=1)
    # A step of s rounds 5 times, and s forgets as β₂ᵏ: at most 5 min(t, 1/(1 − β₂)) units; βᵗ of
    # NumPy and the quotients of the closed forms have 10 more, of 1 − β₂ᵗ ≥ 1 − β₂ of numbers ≤ 1.
    # g − m cancels: m has 3t units at most, which count for 1/β₁ᵗ of the residual; where it has
    # decayed below the share of those digits, ε or nothing is left.
    room = 5 * min(steps, 1 / (1 - betas[1])) + 10 / (1 - betas[1]) + 10
    absolute = 4 * (3 * steps * UNIT) * np.sqrt(np.abs(exact)) + (3 * steps * UNIT) ** 2
    assert np.all(np.abs(found - exact) <= room * UNIT * exact + absolute)


def test_limits_of_figure_2() -> None:
    late = np.array([30_000])
    assert constant(late)[0] == pytest.approx(1e-5, rel=1e-6)  # ε / (1 − β₂)
    assert alternating(late)[0] == pytest.approx((1.8 / 1.9) ** 2 + 1e-5, rel=1e-9)
    assert constant(np.array([1]), eps=0.0)[0] == pytest.approx(0.81, rel=1e-12)  # β₁²


def test_figure_2_runs_the_optimizer_itself(monkeypatch: Any) -> None:
    monkeypatch.setattr(fig2, "RUN", 500)
    found = fig2._run("AdaBelief")
    x, y = fig2.START
    state = reference.initial(np.array([x, y]))
    path = []
    for _ in range(500):
        path.append(state.param)
        state = reference.adabelief(state, np.sign(state.param), fig2.LR, BETAS, EPS)
    # Three roundings a step on numbers up to 10, and signs that flip at the same steps.
    np.testing.assert_allclose(found["path"], path, rtol=0, atol=500 * 10 * 4 * UNIT)
    assert found["distance"] == pytest.approx(state.param[0] - x, abs=500 * 40 * UNIT)


def test_the_curve_is_the_integral_of_its_slope() -> None:
    x = np.array([100.0, 1210.0, 1249.0, 2000.0, 3100.0])
    tiny = 1e-3
    slopes = (fig1_regions.height(x + tiny) - fig1_regions.height(x - tiny)) / (2 * tiny)
    np.testing.assert_allclose(slopes, [fig1_regions.slope(at) for at in x], rtol=1e-6)
    assert fig1_regions.height(np.array([0.0]))[0] == 0
    # 1200 × 0.01, then a trapezoid of 50 × (0.01 + 10) / 2
    assert fig1_regions.height(np.array([1250.0]))[0] == pytest.approx(-12 - 250.25)


def test_letters() -> None:
    assert fig1_regions.letters({"1": 1.0, "2": 100.0, "3": 11.0}) == {"1": "S", "2": "L", "3": "L"}
    assert fig1_regions.letters({"1": 1.0, "2": 100.0, "3": 9.0}) == {"1": "S", "2": "L", "3": "S"}
    assert fig1_regions.letters({"1": 1.0, "2": 1.9, "3": 1.5}) == dict.fromkeys("123", "=")
    assert fig1_regions.letters({"1": 0.0, "2": 1.0}) == {"1": "=", "2": "="}


def test_walks_stay_in_their_region() -> None:
    for case in CASES:
        for name in ("SGD", "Adam", "AdaBelief"):
            path = fig1_regions.walk(name, case).path
            assert {"1": 0, "2": 2990, "3": 1250}[case.name] < path.min()
            assert path.max() < {"1": 1200, "2": 3010, "3": 2990}[case.name]


def test_a_walk_on_an_even_slope_is_known() -> None:
    case = Case("3", "even slope", 1300.0, "L", {}, ("L", "S"))
    found = fig1_regions.walk("Adam", case)
    assert found.step == pytest.approx(fig1_regions.LR, rel=1e-6)  # m̂ / √v̂ = 1
    assert (found.grad, found.change) == (10.0, 0.0)
    belief = fig1_regions.walk("AdaBelief", case)
    s = 100 * (constant(np.array([fig1_regions.STEPS]), eps=0.0)[0]) + 1e-5
    # The factor is a mean over the last tenth, in which s falls: the last one is the largest.
    assert 0.5 * fig1_regions.LR / math.sqrt(s) < belief.factor < fig1_regions.LR / math.sqrt(s)


def test_table_1_verdicts() -> None:
    paper = {name: {case.name: case.paper[name] for case in CASES} for name in OPTIMIZERS}
    values = {
        reading: {name: dict.fromkeys("123", 1.0) for name in OPTIMIZERS}
        for reading in table1.READINGS
    }

    def verdicts(step: Any, factor: Any) -> list[str]:
        return [claim.verdict for claim in table1.claims({"step": step, "factor": factor}, values)]

    nothing = {name: dict.fromkeys("123", "=") for name in OPTIMIZERS}
    assert verdicts(paper, paper) == ["holds"] * 4
    assert verdicts(nothing, nothing) == ["does not hold"] * 4
    assert verdicts(nothing, paper) == ["holds in part"] * 4
    assert verdicts(paper | {"Adam": paper["AdaBelief"]}, nothing)[3] == "does not hold"


def test_angles() -> None:
    a = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1e-9], [-1.0, 0.0]])
    found = eq5.angle(a, np.array([1.0, 0.0]))
    np.testing.assert_allclose(found, [0, 45, np.degrees(1e-9), 180], rtol=1e-12, atol=1e-15)


def test_equation_5_verdicts() -> None:
    assert eq5.direction_verdict({"a": 0.1, "b": 0.9}) == "holds"
    assert eq5.direction_verdict({"a": 0.1, "b": 1.1}) == "holds in part"
    assert eq5.direction_verdict({"a": 2.0, "b": 1.1}) == "does not hold"


def test_equation_5_without_noise_is_known(monkeypatch: Any) -> None:
    """Constant gradients: v = g², s = g² c_t + ε-part; so angles follow from one number."""
    monkeypatch.setattr(eq5, "SIGMAS", (0.0,))
    monkeypatch.setattr(eq5, "STEPS", 50)
    monkeypatch.setattr(eq5, "LAST", 1)
    found = eq5._angles(1e-4, np.ones(2), np.random.default_rng(0))
    assert found["Adam"][1][0] < 0.2  # ε = 1e-4 beside 0.1 and 1
    root = np.sqrt(eq5.MEAN**2 * constant(np.array([50]), eps=0.0) + 1e-4 / 0.001) + 1e-4
    expected = eq5.angle(eq5.MEAN / root, eq5.MEAN)
    assert found["AdaBelief"][0][0] == pytest.approx(float(expected), rel=1e-9)
    assert found["AdaBelief"][2][0] == pytest.approx(root[0] / root[1], rel=1e-9)


def test_the_floor_is_what_a_parameter_without_gradients_has() -> None:
    for name in floor_training.OPTIMIZERS:
        param = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        optimizer = floor_training._optimizer(name, 1e-6, iter([param]))
        for _ in range(floor_training.STEPS):
            param.grad = torch.zeros(3, dtype=torch.float64)
            optimizer.step()
        (found,) = floor_training._denominators(name, 1e-6, optimizer)
        np.testing.assert_allclose(found, floor_training.floor(name, 1e-6), rtol=1e-12)
        assert (found < floor_training.dominated(name, 1e-6)).all()


def test_half_of_the_denominator_is_where_the_floor_ends() -> None:
    # ŝ = 2 ε / (1 − β₂); √v̂ = ε
    assert floor_training.dominated("EAdam", 1e-6) == pytest.approx(math.sqrt(2e-3), rel=1e-4)
    assert floor_training.dominated("Adam", 1e-6) == 2e-6


def test_training_at_a_huge_floor_is_sgd(monkeypatch: Any) -> None:
    monkeypatch.setattr(floor_training, "STEPS", 3)
    monkeypatch.setattr(floor_training, "SEEDS", (0,))
    found = floor_training.outcome("AdaBelief", 1e4)
    assert found.at_floor == 1.0
    assert found.sgd_lr == pytest.approx(found.same_as, rel=1e-3)
    assert floor_training.outcome("AdaBelief", 1e-20).at_floor < 0.5


def test_both_residuals_against_the_reference() -> None:
    grads = np.random.default_rng(0).standard_normal((40, 5))
    beta1, beta2, eps = 0.7, 0.99, 1e-10
    sizes, roots = previous_residual.step_sizes(grads, beta1, beta2, eps, previous=False)
    state = reference.initial(np.zeros(5))
    for grad, size in zip(grads, sizes, strict=True):
        before = state.param
        state = reference.adabelief(state, grad, 1.0, (beta1, beta2), eps)
        np.testing.assert_allclose(np.abs(state.param - before), size, rtol=0, atol=1e-13)
    # gₜ − mₜ = β₁ (gₜ − mₜ₋₁): the same as Algorithm 2 with ε β₁² and √ŝ / β₁, outer ε apart.
    _, scaled = previous_residual.step_sizes(grads, beta1, beta2, eps * beta1**2, previous=False)
    _, other = previous_residual.step_sizes(grads, beta1, beta2, eps, previous=True)
    np.testing.assert_allclose(other - eps, (scaled - eps * beta1**2) / beta1, rtol=1e-12)
    assert not np.allclose(other, roots)


def test_floor_verdicts() -> None:
    assert floor.belief_verdict(0.01) == "holds"
    assert floor.belief_verdict(0.3) == "holds in part"
    assert floor.belief_verdict(0.9) == "does not hold"
