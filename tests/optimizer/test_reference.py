"""The reference against hand, exact arithmetic, the authors' package, optax and RAdam."""

from __future__ import annotations

import doctest
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import exact
from adabelief import AdaBelief, Hyperparameters, reference
from adabelief.step import scalars
from cases import CASES, Case
from oracle import DEFAULTS, Array, Bound, next_bound, underflow, unit
from paths import VECTORS

U, TINY = unit(torch.float64), underflow(torch.float64)
SIZE = 5
ROUNDS_LIKE_US = 2 * U  # the reference and the other one


def arrays(n: int, seed: int) -> list[Array]:
    draw = np.random.default_rng(seed)
    return [draw.standard_normal(SIZE) for _ in range(n)]


def start(param: Array) -> tuple[reference.State, Bound]:
    zero = np.zeros_like(param)
    return reference.initial(param), Bound(zero, zero, zero, zero)


def follow(
    state: reference.State, bound: Bound, grad: Array, options: Mapping[str, Any], u: float
) -> tuple[reference.State, Bound]:
    after = reference.adabelief(state, grad, **options)
    return after, next_bound(bound, state, grad, after, u, TINY, options)


def error_of_scalars(step: int, options: Mapping[str, Any]) -> float:
    """Relative error of α r_t m̂/√ŝ that comes from 1 − βᵗ and r_t, both from rounded powers.

    βᵗ is good to 2u, so 1 − βᵗ to 2uκ + u with κ = βᵗ / (1 − βᵗ). In ρ_t = ρ_∞ − 2tκ₂ the
    difference loses digits; 1/(ρ − 4) + 1/(ρ − 2) + 1/ρ is the condition of r_t² in ρ_t.
    """
    o = {**DEFAULTS, **options}
    kappa1, kappa2 = (beta**step / (1 - beta**step) for beta in o["betas"])
    error = 2 * U * (kappa1 + kappa2) + 2 * U if o["bias_correction"] else 0.0
    if not o["rectify"] or reference.rectification(step, o["betas"][1]) is None:
        return error
    sma_max = 2 / (1 - o["betas"][1]) - 1
    sma = sma_max - 2 * step * kappa2
    e_sma = U * (2 * step * kappa2 * (6 + 2 * kappa2) + 4 * sma_max + sma)
    condition = 1 / (sma - 4) + 1 / (sma - 2) + 1 / sma
    condition_max = 1 / (sma_max - 4) + 1 / (sma_max - 2) + 1 / sma_max
    return error + (e_sma * condition + 4 * U * sma_max * condition_max + 8 * U) / 2


def moved(before: reference.State, after: reference.State, options: Mapping[str, Any]) -> Array:
    """|α r_t d|: what the parameter moved by, its decay apart."""
    o = {**DEFAULTS, **options}
    shrink = o["weight_decay"] * (1.0 if o["fixed_decay"] else o["lr"])
    keep = 1 - shrink if o["decoupled_weight_decay"] else 1.0
    return np.abs(after.param - keep * before.param)


def assert_within(got: object, truth: Array, error: Array, what: str) -> None:
    off = np.abs(np.asarray(got, dtype=np.float64) - truth)
    assert (off <= error).all(), f"{what}: off by {off}, allowed {error}"


def test_two_steps_by_hand_are_in_the_docstring() -> None:
    results = doctest.testmod(reference)
    assert results.attempted >= 4
    assert results.failed == 0


def at(number: float) -> Array:
    return np.array(number, dtype=np.float64)


def by_hand(state: reference.State, grad: float, **options: Any) -> reference.State:
    return reference.adabelief(state, at(grad), **options)


def numbers(state: reference.State) -> tuple[float, float, float, float]:
    arrays = (state.param, state.exp_avg, state.exp_avg_var, state.max_exp_avg_var)
    return tuple(map(float, arrays))  # type: ignore[return-value]


HALVES: dict[str, Any] = {"betas": (0.5, 0.5), "eps": 2.5, "lr": 5.5}


def test_both_places_of_eps_by_hand() -> None:
    # t = 1: m = 2; s = 2²/2 + 2.5; ŝ = 9; denominator 3 + 2.5; m̂ = 4; 10 − 5.5 · 4 / 5.5
    state = by_hand(reference.initial(at(10)), 4, **HALVES)
    assert numbers(state) == (6, 2, 4.5, 0)
    assert state.step == 1
    # t = 2: m = 1 + 3; s = 2.25 + 2 + 2.5; ŝ = 6.75 · 4/3 = 9; m̂ = 16/3; 6 − 16/3
    state = by_hand(state, 6, **HALVES)
    assert numbers(state)[1:] == (4, 6.75, 0)
    assert state.step == 2
    assert float(state.param) == pytest.approx(2 / 3, rel=8 * U)


@pytest.mark.parametrize(
    ("options", "param", "exp_avg", "exp_avg_var"),
    [
        # g = 4: m = 2, g − m = 2, s = 2²/4 = 1, direction m/√s = 2; α = 1
        ({}, 8, 2, 1),
        ({"maximize": True}, 12, -2, 1),
        ({"clip_update": 1.5}, 8.5, 2, 1),
        ({"clip_update": 2}, 8, 2, 1),
        ({"maximize": True, "clip_update": 1.5}, 11.5, -2, 1),
        ({"weight_decay": 0.25}, 5.5, 2, 1),  # 0.75 · 10 − 2
        ({"weight_decay": 0.25, "lr": 0.5}, 7.75, 2, 1),  # 0.875 · 10 − 1
        ({"weight_decay": 0.25, "lr": 0.5, "fixed_decay": True}, 6.5, 2, 1),  # 0.75 · 10 − 1
        # coupled: g = 4 + 10 · 0.4 = 8, or −4 + 4 = 0 to maximize
        ({"weight_decay": 0.4, "decoupled_weight_decay": False}, 8, 4, 4),
        (
            {"weight_decay": 0.4, "decoupled_weight_decay": False, "maximize": True, "eps": 1},
            *(10, 0, 1),
        ),
        ({"bias_correction": True, "lr": 0.5}, 9, 2, 1),  # m̂ = ŝ = 4; 10 − 0.5 · 4 / 2
        ({"rectify": True}, 8, 2, 1),  # ρ₁ = 1: m alone
    ],
)
def test_each_option_by_hand(
    options: dict[str, Any], param: float, exp_avg: float, exp_avg_var: float
) -> None:
    plain = {"betas": (0.5, 0.75), "eps": 0.0, "lr": 1.0, "bias_correction": False}
    begun = reference.initial(at(10))
    state = by_hand(begun, 4, **{**plain, **options})
    assert numbers(state) == (param, exp_avg, exp_avg_var, 0)
    assert numbers(begun) == (10, 0, 0, 0)


def test_amsgrad_by_hand() -> None:
    options: dict[str, Any] = {"betas": (0.5, 0.75), "eps": 0.0, "lr": 1.0}
    options |= {"bias_correction": False, "amsgrad": True}
    state = by_hand(reference.initial(at(10)), 4, **options)
    assert numbers(state) == (8, 2, 1, 1)
    state = by_hand(state, 2, **options)  # g − m = 0, s = 3/4, its maximum is 1
    assert numbers(state) == (6, 2, 0.75, 1)
    state = by_hand(state, 6, **options)  # m = 4, s = 9/16 + 1, the new maximum; 6 − 4 / (5/4)
    assert numbers(state) == (6 - 3.2, 4, 25 / 16, 25 / 16)


def test_the_projection_gets_the_point_and_the_metric() -> None:
    seen: list[tuple[float, float]] = []

    def project(point: Array, metric: Array) -> Array:
        seen.append((float(point), float(metric)))
        return np.asarray(point + 1)

    state = replace(reference.initial(at(10)), max_exp_avg_var=at(16))
    after = by_hand(state, 4, **HALVES, project=project)
    assert seen == [(6, 3)]
    assert numbers(after)[0] == 7
    by_hand(state, 4, **HALVES, project=project, amsgrad=True)
    assert seen[1][1] == math.sqrt(32)
    reference.algorithm2(at(10), at(4), at(0), at(0), 1, 5.5, 0.5, 0.5, 2.5, project)
    assert seen[2] == (6, 3)


@pytest.mark.parametrize("eps", [0.0, 1e-16, 1e-8, 1.0])
def test_without_options_it_is_algorithm_2_bit_for_bit(eps: float) -> None:
    (param, *grads) = arrays(30, seed=1)
    state, m, s = reference.initial(param), np.zeros(SIZE), np.zeros(SIZE)
    for step, grad in enumerate(grads, start=1):
        param, m, s = reference.algorithm2(param, grad, m, s, step, 0.01, 0.8, 0.99, eps)
        state = reference.adabelief(state, grad, 0.01, (0.8, 0.99), eps)
        for plain, optional in ((param, state.param), (m, state.exp_avg), (s, state.exp_avg_var)):
            assert plain.tobytes() == optional.tobytes()
        assert not state.max_exp_avg_var.any()
        assert state.step == step


def test_defaults_are_the_same_everywhere() -> None:
    in_optimizer = inspect.signature(AdaBelief).parameters
    in_reference = inspect.signature(reference.adabelief).parameters
    in_algorithm = inspect.signature(reference.algorithm2).parameters
    in_hyperparameters = inspect.signature(Hyperparameters).parameters
    for name, default in DEFAULTS.items():
        assert in_optimizer[name].default == in_reference[name].default == default
        assert in_hyperparameters[name].default == default
    for name in ("lr", "eps"):
        assert in_algorithm[name].default == DEFAULTS[name]
    assert (in_algorithm["beta1"].default, in_algorithm["beta2"].default) == DEFAULTS["betas"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_equals_exact_arithmetic(case: Case) -> None:
    (param, *grads) = arrays(9, seed=2)
    state, bound = start(param)
    truths = [
        exact.run(float(param[i]), [float(grad[i]) for grad in grads], case.options)
        for i in range(SIZE)
    ]
    for grad, *columns in zip(grads, *truths, strict=True):
        before = state
        state, bound = follow(state, bound, grad, case.options, U)
        extra = error_of_scalars(state.step, case.options) * moved(before, state, case.options)
        bound = replace(bound, param=bound.param + extra)
        pairs = [
            (state.param, bound.param),
            (state.exp_avg, bound.exp_avg),
            (state.exp_avg_var, bound.exp_avg_var),
        ]
        pairs += [(state.max_exp_avg_var, bound.max_exp_avg_var)] * bool(
            case.options.get("amsgrad")
        )
        for k, (value, error) in enumerate(pairs):
            for i in range(SIZE):
                off = abs(Fraction(float(value[i])) - columns[i][k])
                assert off <= Fraction(float(error[i])), (
                    f"array {k}, step {state.step}: {float(off)}"
                )


AUTHORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "other scalars": ({"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},) * 2,
    "amsgrad": ({"amsgrad": True, "betas": (0.9, 0.8)},) * 2,
    "amsgrad, eps": ({"amsgrad": True, "eps": 1e-2},) * 2,
    "decoupled": ({"weight_decay": 0.1},) * 2,
    "fixed": ({"weight_decay": 0.1, "fixed_decay": True},) * 2,
    "coupled": (
        {"weight_decay": 0.1, "decoupled_weight_decay": False},
        {"weight_decay": 0.1, "weight_decouple": False},
    ),
    "rectify": ({"rectify": True},) * 2,
    "rectify, eps 1e-4": ({"rectify": True, "eps": 1e-4},) * 2,
    "rectify, beta2 0.8": ({"rectify": True, "betas": (0.9, 0.8)},) * 2,
    "rectify, beta2 0.65": ({"rectify": True, "betas": (0.9, 0.65)},) * 2,
}


@pytest.mark.parametrize("name", AUTHORS)
def test_it_equals_the_authors_package(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    options, theirs = AUTHORS[name]
    (first, *grads) = arrays(30, seed=3)
    param = torch.tensor(first, requires_grad=True)
    keywords = {"weight_decouple": True, "rectify": False, "print_change_log": False, **theirs}
    adabelief_pytorch = pytest.importorskip("adabelief_pytorch")
    optimizer = adabelief_pytorch.AdaBelief([param], **keywords)
    capsys.readouterr()  # their banner
    state, bound = start(first)
    eps, beta2 = options.get("eps", 1e-16), options.get("betas", (0.9, 0.999))[1]
    for grad in grads:
        param.grad = torch.tensor(grad)
        optimizer.step()
        before = state
        state, bound = follow(state, bound, grad, options, ROUNDS_LIKE_US)
        if options.get("rectify"):
            # They start at ρ ≥ 5, we at ρ > 5: the same where ρ is never 5. And their outer ε is
            # not bias-corrected: √s + ε where Algorithm 2 has √s + ε √(1 − β₂ᵗ).
            sma_max = 2 / (1 - beta2) - 1
            beta2_t = beta2**state.step
            assert sma_max - 2 * state.step * beta2_t / (1 - beta2_t) != 5
            if reference.rectification(state.step, beta2) is not None:
                apart = eps * (1 - math.sqrt(1 - beta2_t)) / np.sqrt(state.exp_avg_var)
                extra = moved(before, state, options) * apart
                bound = replace(bound, param=bound.param + extra)
        kept = optimizer.state[param]
        assert_within(param.detach(), state.param, bound.param, "param")
        assert_within(kept["exp_avg"], state.exp_avg, bound.exp_avg, "exp_avg")
        assert_within(kept["exp_avg_var"], state.exp_avg_var, bound.exp_avg_var, "exp_avg_var")
        if options.get("amsgrad"):
            largest = kept["max_exp_avg_var"]
            assert_within(largest, state.max_exp_avg_var, bound.max_exp_avg_var, "maximum")


RECORDED = json.loads((VECTORS / "optax.json").read_text("utf-8"))


@pytest.mark.parametrize("k", range(len(RECORDED["trajectories"])))
def test_it_equals_recorded_trajectories_of_optax(k: int) -> None:
    recorded = RECORDED["trajectories"][k]
    options = {"lr": recorded["lr"], "betas": tuple(recorded["betas"]), "eps": recorded["eps"]}
    state, bound = start(np.array(recorded["start"]))
    for grad, step in zip(map(np.array, recorded["grads"]), recorded["steps"], strict=True):
        before = state
        state, bound = follow(state, bound, grad, options, ROUNDS_LIKE_US)
        extra = 2 * error_of_scalars(state.step, options) * moved(before, state, options)
        bound = replace(bound, param=bound.param + extra)
        for name in ("param", "exp_avg", "exp_avg_var"):
            assert_within(step[name], getattr(state, name), getattr(bound, name), name)


FLOORS = [(1e-8, 0.999), (1e-16, 0.999), (1e-4, 0.9), (1e-12, 0.99)]


@pytest.mark.parametrize(("eps", "beta2"), FLOORS)
def test_eps_contributes_exactly_eps_over_1_minus_beta2_at_every_step(
    eps: float, beta2: float
) -> None:
    with_eps, bound = start(np.ones(1))
    without, _ = start(np.ones(1))
    draw = np.random.default_rng(4)
    for t in range(1, 3001):
        grad = draw.standard_normal(1) * math.sqrt(eps)  # so that neither part hides the other
        before = with_eps
        with_eps = reference.adabelief(before, grad, betas=(0.9, beta2), eps=eps)
        options = {"betas": (0.9, beta2), "eps": eps}
        bound = next_bound(bound, before, grad, with_eps, U, TINY, options)
        without = reference.adabelief(without, grad, betas=(0.9, beta2), eps=0.0)
        corrected = (with_eps.exp_avg_var - without.exp_avg_var) / (1 - beta2**t)
        kappa = beta2**t / (1 - beta2**t)
        floor = eps / (1 - beta2)
        error = 2 * bound.exp_avg_var / (1 - beta2**t) + floor * (2 * kappa + 4) * U
        assert error.max() < 1e-9 * floor  # the bound says something
        assert_within(corrected, np.array([floor]), error, f"step {t}")


@pytest.mark.parametrize("step", [1, 2, 10, 100, 3000])
@pytest.mark.parametrize(("eps", "beta2"), FLOORS)
def test_the_floor_of_the_denominator_is_constant(eps: float, beta2: float, step: int) -> None:
    # A gradient that is as predicted (g = m = 1), after t − 1 such steps: s is ε alone.
    before = eps * (1 - beta2 ** (step - 1)) / (1 - beta2)
    param, _, _ = reference.algorithm2(
        np.zeros(1), np.ones(1), np.ones(1), np.full(1, before), step, 1.0, 0.5, beta2, eps
    )
    denominator = -1 / (1 - 0.5**step) / param[0]
    kappa = beta2**step / (1 - beta2**step)
    floor = math.sqrt(eps / (1 - beta2)) + eps
    assert denominator == pytest.approx(floor, rel=(2 * kappa + 20) * U)


def test_the_floor_equals_that_of_adam_with_the_equivalent_eps() -> None:
    """Where both floors dominate, ε = (1 − β₂) ε_A² makes the same steps as Adam with ε_A."""
    eps_adam, small, lr = 1e-4, 1e-14, 1.0
    eps = (1 - 0.999) * eps_adam**2
    (first, *grads) = arrays(20, seed=5)
    param = torch.zeros(SIZE, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([param], lr=lr, eps=eps_adam)
    state = reference.initial(0 * first)
    largest, travelled = 0.0, np.zeros(SIZE)
    for grad in grads:
        param.grad = torch.tensor(small * grad)
        adam.step()
        before = state.param
        state = reference.adabelief(state, small * grad, lr=lr, eps=eps)
        travelled += np.abs(state.param - before)
        largest = max(largest, float(np.abs(small * grad).max()))
        # Adam's denominator is in ε_A (1, 1 + max|g|/ε_A); ours in (1, 1 + 2 max|g|/ε_A) + ε.
        apart = 2 * largest / eps_adam + eps / eps_adam + (2 / (1 - 0.999) + 40) * U
        assert_within(param.detach(), state.param, travelled * apart, "param")


@pytest.mark.parametrize("eps", [0.0, 1e-16, 1e-8, 1e-2])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9), (0.1, 0.3)])
def test_the_first_step_has_a_closed_form(betas: tuple[float, float], eps: float) -> None:
    grads = np.array([1e-9, -1e-4, 0.3, -7.0, 1e6])
    state = reference.adabelief(reference.initial(np.zeros(SIZE)), grads, 0.01, betas, eps)
    root = np.sqrt((betas[0] * grads) ** 2 + eps / (1 - betas[1]))
    # The constants of the running bound: r = g − m loses 1/β₁, everything else at most 20 u.
    error = (20 + 4 / betas[0]) * U * 0.01 * np.abs(grads / (root + eps))
    assert_within(state.param, -0.01 * grads / (root + eps), error, "first step")


def decimal_rectification(step: int, beta2: float) -> Decimal | None:
    with localcontext() as context:
        context.prec = 50
        b = Decimal(beta2)
        tail = b**step
        longest = 2 / (1 - b) - 1
        rho = longest - 2 * step * tail / (1 - tail)
        if rho <= 5:
            return None
        product = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
        return product.sqrt()


BETA2S = (0.0, 0.3, 0.6, 0.65, 0.67, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)


@pytest.mark.parametrize("beta2", BETA2S)
def test_the_rectification_is_liu_et_als_and_the_same_in_both_places(beta2: float) -> None:
    for step in [*range(1, 60), 100, 1000, 10_000, 100_000]:
        ours = reference.rectification(step, beta2)
        truth = decimal_rectification(step, beta2)
        assert scalars.rectification(step, beta2) == ours
        assert (ours is None) == (truth is None)
        if ours is not None and truth is not None:
            options = {"betas": (0.9, beta2), "rectify": True, "bias_correction": False}
            assert ours == pytest.approx(float(truth), rel=error_of_scalars(step, options) + 4 * U)


@pytest.mark.parametrize(
    ("beta2", "first"),
    [(0.999, 6), (0.99, 6), (0.9, 6), (0.8, 7), (0.7, 10), (0.67, 16), (0.66, None), (0.6, None)],
)
def test_rectification_begins_at(beta2: float, first: int | None) -> None:
    begun = [t for t in range(1, 500) if reference.rectification(t, beta2) is not None]
    assert (begun[0] if begun else None) == first


@pytest.mark.parametrize(("step", "beta2"), [(6, 0.8397685748659791), (7, 0.7678067796924252)])
def test_where_rho_is_exactly_5_rectification_has_not_begun(step: int, beta2: float) -> None:
    sma_max = 2 / (1 - beta2) - 1
    assert sma_max - 2 * step * beta2**step / (1 - beta2**step) == 5
    for rectification in (reference.rectification, scalars.rectification):
        assert rectification(step, beta2) is None
        assert rectification(step + 1, beta2) is not None


@pytest.mark.parametrize("beta2", [0.999, 0.9, 0.8, 0.6])
def test_the_rectification_is_the_one_in_torchs_radam(beta2: float) -> None:
    param = torch.zeros(SIZE, dtype=torch.float64, requires_grad=True)
    radam = torch.optim.RAdam([param], lr=1.0, betas=(0.9, beta2), eps=0.0)
    for step, grad in enumerate(arrays(40, seed=6), start=1):
        with torch.no_grad():
            param.zero_()  # then θ after the step is the step itself
        param.grad = torch.tensor(grad)
        radam.step()
        kept = radam.state[param]
        direction = kept["exp_avg"] / (1 - 0.9**step)
        factor = reference.rectification(step, beta2)
        if factor is not None:
            direction = factor * direction / (kept["exp_avg_sq"] / (1 - beta2**step)).sqrt()
        truth = -direction.numpy()
        options = {"betas": (0.9, beta2), "rectify": True}
        error = (2 * error_of_scalars(step, options) + 20 * U) * np.abs(truth)
        assert_within(param.detach(), truth, error, f"step {step}")
