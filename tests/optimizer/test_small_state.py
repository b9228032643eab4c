"""Small state and bfloat16 masters: every path is the reference, rounded, with the same bits."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from adabelief.feasible import L2Ball
from adabelief.low_precision import bfloat16, e5m3
from adabelief.step.state import EXPONENT, widened
from backends import BACKENDS, TRACED
from cases import BY_NAME, SHAPES, as_param, noise, normal
from oracle import Array, Bound, Oracle, as_vector, unit

Options = Mapping[str, Any]
PATHS = [name for name in BACKENDS if name != "differentiable"]
SMALL: Mapping[str, Options] = {
    "bfloat16": {"state_dtype": "bfloat16"},
    "8bit": {"state_dtype": "8bit"},
}
MASTERS: Mapping[str, Options] = {
    "split": {"master_weights": "split"},
    "stochastic": {"master_weights": "stochastic"},
    "split, bfloat16": {"master_weights": "split", "state_dtype": "bfloat16"},
    "stochastic, bfloat16": {"master_weights": "stochastic", "state_dtype": "bfloat16"},
    "split, 8bit": {"master_weights": "split", "state_dtype": "8bit"},
    "none, bfloat16": {"state_dtype": "bfloat16"},
}
SOME = ("plain", "coupled", "recipe CIFAR", "rectify, clip", "clip, decoupled", "betas small",
        "maximize, decoupled", "beta1 0.05", "all at once", "amsgrad")  # fmt: skip
every_path = pytest.mark.parametrize("path", PATHS)


def between(got: Array, truth: Array, error: Array, spacing: Array, what: str) -> None:
    """`got` is `truth` ± `error`, moved by less than one spacing of the format."""
    wrong = np.flatnonzero(~(np.abs(got - truth) <= error + spacing))
    assert wrong.size == 0, (what, wrong[:3], got[wrong[:3]], truth[wrong[:3]])


def small_parity(
    path: str,
    formats: Options,
    options: Options,
    params: list[Tensor],
    rows: Sequence[list[Tensor]],
) -> None:
    """Each step, from the numbers that are stored, is the reference's step but for one rounding."""
    oracle = Oracle(params, traced=path in TRACED)
    half = params[0].dtype == torch.bfloat16
    master_weights = formats.get("master_weights") if half else None
    small, amsgrad = formats.get("state_dtype"), bool(options.get("amsgrad"))
    params = [param.requires_grad_() for param in params]
    run = BACKENDS[path]({**formats, **options}, params, rows)
    u16, eps16 = unit(torch.bfloat16), torch.finfo(torch.bfloat16).eps
    zero = np.zeros_like(oracle.start)
    for grads, states in zip(rows, run, strict=True):
        oracle.advance(as_vector(grads), options)
        truth, bound = oracle.state, oracle.bound
        if master_weights == "split":
            pairs = zip(params, states, strict=True)
            theta = as_vector([bfloat16.join(p.detach(), s["master_bits"]) for p, s in pairs])
            grain = zero
        else:
            theta = as_vector(params)
            grain = np.abs(truth.param) * (eps16 if master_weights else u16) * half + 1e-38 * half
        between(theta, truth.param, bound.param * (1 + eps16), grain * (1 + eps16), "param")
        for state in states:
            assert set(state) == {"step", "exp_avg", "exp_avg_var"} | (
                {EXPONENT} if small == "8bit" else set()
            ) | ({"master_bits"} if master_weights == "split" else set()) | (
                {"max_exp_avg_var"} if amsgrad else set()
            )
        first = as_vector([state["exp_avg"] for state in states])
        second = as_vector([widened(state, "exp_avg_var") for state in states])
        e_m, e_s = bound.exp_avg, bound.exp_avg_var
        m_grain = (np.abs(truth.exp_avg) + e_m) * u16 + 1e-40
        s_grain = (truth.exp_avg_var + e_s) * (1 / 8 if small == "8bit" else eps16) + 1e-38
        if small == "8bit":  # up to the smallest code of its block, at most 2⁻³¹ of the largest
            s_grain = s_grain + truth.exp_avg_var.max() * 2.0**-30
        if small is None:
            m_grain = s_grain = zero
        between(first, truth.exp_avg, e_m, m_grain, "exp_avg")
        between(second, truth.exp_avg_var, e_s, s_grain, "exp_avg_var")
        most = second
        if amsgrad:
            most = as_vector([state["max_exp_avg_var"] for state in states])
            near = u16 * truth.max_exp_avg_var if small else zero
            between(most, truth.max_exp_avg_var, bound.max_exp_avg_var, near, "max_exp_avg_var")
        if small:  # the next step starts from what is stored
            oracle.state = replace(
                truth, exp_avg=first, exp_avg_var=second, max_exp_avg_var=most, param=theta
            )
            oracle.bound = Bound(zero, zero, zero, zero)
        elif half:
            oracle.state = replace(truth, param=theta)
            oracle.bound = replace(bound, param=zero)


def rows_for(params: Sequence[Tensor], seed: int) -> list[list[Tensor]]:
    random = torch.Generator().manual_seed(seed)
    by_param = [
        [as_param(grad, param) for grad in noise(param.shape, random, param.dtype)]
        for param in params
    ]
    return [list(step) for step in zip(*by_param, strict=True)]


def shaped(dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [make(random, dtype) for make in SHAPES.values()] + [normal(700)(random, dtype)]


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("small", SMALL)
@every_path
def test_small_state_follows_the_reference(path: str, small: str, name: str) -> None:
    if small == "8bit" and BY_NAME[name].options.get("amsgrad"):
        return  # refused, see below
    params = shaped(torch.float32)
    small_parity(path, SMALL[small], BY_NAME[name].options, params, rows_for(params, 2))


@pytest.mark.parametrize("name", ["plain", "coupled", "rectify, clip"])
@pytest.mark.parametrize("master_weights", MASTERS)
@every_path
def test_bfloat16_parameters_follow_the_reference(
    path: str, master_weights: str, name: str
) -> None:
    params = shaped(torch.bfloat16)
    small_parity(path, MASTERS[master_weights], BY_NAME[name].options, params, rows_for(params, 3))


EXACT = {"betas": (0.5, 0.5), "eps": 0.0, "lr": 0.0}


@pytest.mark.parametrize("formats", [*SMALL.values(), *MASTERS.values()], ids=str)
def test_the_same_random_bits_on_every_path(formats: Options) -> None:
    """Small integers and halves: the arithmetic is exact, so that all bits stored must agree."""
    dtype = torch.bfloat16 if "master_weights" in formats else torch.float32
    kept: list[list[Mapping[str, Tensor]]] = []
    for path in PATHS:
        random = torch.Generator().manual_seed(4)
        params = [torch.ones(size, dtype=dtype).requires_grad_() for size in (3, 300, 1000)]
        rows = [
            [torch.randint(1, 16, (len(p),), generator=random).to(dtype) for p in params]
            for _ in range(3)
        ]
        states = list(BACKENDS[path]({**formats, **EXACT}, params, rows))[-1]
        kept.append([copy.deepcopy(dict(state)) for state in states])
    for other in kept[1:]:
        for mine, its in zip(kept[0], other, strict=True):
            for key in mine:
                assert torch.equal(mine[key], its[key]), key
    spread = widened(kept[0][2], "exp_avg_var")
    assert spread.unique().numel() > 20, "s is rounded in this test"


@pytest.mark.parametrize("formats", [*SMALL.values(), *MASTERS.values()], ids=str)
@pytest.mark.parametrize("fused", [True, False])
def test_a_resumed_run_is_bit_equal(formats: Options, fused: bool) -> None:
    dtype = torch.bfloat16 if "master_weights" in formats else torch.float32
    random = torch.Generator().manual_seed(5)
    whole = [normal(*size)(random, dtype).requires_grad_() for size in ((700,), (3, 5), (2,))]
    optimizer = AdaBelief(whole, lr=0.01, fused=fused, **formats)
    rows = rows_for(whole, 6)

    def step(params: Sequence[Tensor], one: AdaBelief, row: Sequence[Tensor]) -> None:
        for param, grad in zip(params, row, strict=True):
            param.grad = grad.clone()
        one.step()

    for row in rows[:4]:
        step(whole, optimizer, row)
    file = io.BytesIO()
    torch.save({"params": whole, "state": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = [param.detach().requires_grad_() for param in saved["params"]]
    fresh = AdaBelief(resumed, fused=fused)
    fresh.load_state_dict(saved["state"])
    for row in rows[4:]:
        step(whole, optimizer, row)
        step(resumed, fresh, row)
    for mine, its in zip(whole, resumed, strict=True):
        assert torch.equal(mine, its)
        ours, theirs = optimizer.state[mine], fresh.state[its]
        assert set(ours) == set(theirs)
        for key in ("exp_avg", "step", *(["master_bits"] if "master_bits" in ours else [])):
            assert torch.equal(ours[key], theirs[key])
        assert torch.equal(widened(ours, "exp_avg_var"), widened(theirs, "exp_avg_var"))


def test_a_checkpoint_holds_8_bits_as_bfloat16_exactly() -> None:
    param = torch.randn(700).requires_grad_()
    optimizer = AdaBelief([param], state_dtype="8bit")
    param.grad = torch.randn(700)
    optimizer.step()
    state, saved = optimizer.state[param], optimizer.state_dict()["state"][0]
    assert set(saved) == {"step", "exp_avg", "exp_avg_var"}
    assert saved["exp_avg_var"].dtype == torch.bfloat16
    assert torch.equal(saved["exp_avg_var"].float(), widened(state, "exp_avg_var"))
    assert state["exp_avg_var"].dtype == torch.uint8
    assert EXPONENT in state, "saving changes nothing here"


@pytest.mark.parametrize("formats", [*SMALL.values(), {}], ids=str)
def test_a_run_may_change_its_formats(formats: Options) -> None:
    """An option that is switched on later rounds to nearest once; nothing is lost but digits."""
    param = torch.randn(700).requires_grad_()
    optimizer = AdaBelief([param], state_dtype="bfloat16")
    for _ in range(3):
        param.grad = torch.randn(700)
        optimizer.step()
    before = widened(optimizer.state[param], "exp_avg_var").float().clone()
    optimizer.param_groups[0]["state_dtype"] = formats.get("state_dtype")
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[0]["betas"] = (0.9, 1 - 2**-24)  # s hardly moves
    param.grad = torch.zeros(700)
    optimizer.step()
    after = widened(optimizer.state[param], "exp_avg_var").float()
    assert ((after - before).abs() <= before / 4 + before.max() * 2**-30).all()
    size = {"bfloat16": 2, "8bit": 1, None: 4}[formats.get("state_dtype")]
    assert optimizer.state[param]["exp_avg_var"].element_size() == size
    assert (EXPONENT in optimizer.state[param]) == (size == 1)


@pytest.mark.parametrize("formats", [*SMALL.values(), {}], ids=str)
def test_bytes_of_state_per_parameter(formats: Options) -> None:
    param = torch.zeros(25_600).requires_grad_()
    param.grad = torch.ones(25_600)
    optimizer = AdaBelief([param], **formats)
    optimizer.step()
    kept = [value for key, value in optimizer.state[param].items() if key != "step"]
    used = sum(value.numel() * value.element_size() for value in kept) / param.numel()
    assert used == {None: 8, "bfloat16": 4, "8bit": 3 + 1 / 256}[formats.get("state_dtype")]


def test_a_checkpoint_of_another_optimizer_may_start_small_state() -> None:
    param = torch.randn(300).requires_grad_()
    adam = torch.optim.AdamW([param])
    param.grad = torch.randn(300)
    adam.step()
    with pytest.warns(UserWarning, match="checkpoint of adam"):
        optimizer = AdaBelief.from_checkpoint(
            [param], adam.state_dict(), source="adam", state_dtype="8bit"
        )
    kept = optimizer.state[param]
    assert kept["exp_avg"].dtype == torch.bfloat16
    assert kept[EXPONENT].shape == (e5m3.blocks(300),)
    assert torch.equal(kept["exp_avg"], bfloat16.nearest(adam.state[param]["exp_avg"]))


def test_split_masters_move_as_float32_parameters_do() -> None:
    """Steps of 1e-5 of a parameter: lost to nearest, kept by sixteen more bits; bit for bit."""
    random = torch.Generator().manual_seed(7)
    start = normal(500)(random, torch.bfloat16)
    wide, narrow = start.float().requires_grad_(), start.clone().requires_grad_()
    plain = start.clone().requires_grad_()
    optimizers = [
        AdaBelief([wide], lr=1e-5),
        AdaBelief([narrow], lr=1e-5, master_weights="split"),
        AdaBelief([plain], lr=1e-5),
    ]
    for _ in range(50):
        grad = normal(500)(random, torch.bfloat16)
        wide.grad, narrow.grad, plain.grad = grad.float(), grad, grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    bits = optimizers[1].state[narrow]["master_bits"]
    assert torch.equal(bfloat16.join(narrow.detach(), bits), wide)
    assert (plain == start).double().mean() > 0.9
    assert (narrow != start).any()


def test_stochastic_masters_move_by_the_right_amount_on_average() -> None:
    """Equal parameters: their mean moves as float32 does, within 6 standard errors."""
    n, steps = 400_000, 50
    wide = torch.ones(n, requires_grad=True)
    narrow = torch.ones(n, dtype=torch.bfloat16, requires_grad=True)
    optimizers = (
        AdaBelief([wide], lr=1e-5),
        AdaBelief([narrow], lr=1e-5, master_weights="stochastic"),
    )
    for t in range(steps):
        grad = torch.full((n,), 1.0 if t % 2 else 3.0)
        wide.grad, narrow.grad = grad, grad.bfloat16()
        for optimizer in optimizers:
            optimizer.step()
    # One rounding of x between neighbours at a distance h has a variance of at most h²/4.
    error = (steps * 2**-14 / 4 / n) ** 0.5
    assert abs(narrow.double().mean() - wide.double().mean()) < 6 * error
    assert wide.mean() < 1 - 6 * error


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        (ValueError, "state_dtype must be None, 'bfloat16', torch.bfloat16 or '8bit'",
         {"state_dtype": "float16"}),
        (TypeError, "state_dtype must be", {"state_dtype": 8}),
        (ValueError, "master_weights must be None, 'split' or 'stochastic', got 'float32'",
         {"master_weights": "float32"}),
        (ValueError, "with amsgrad=True, got '8bit'", {"state_dtype": "8bit", "amsgrad": True}),
        (ValueError, "state_dtype must be None with differentiable=True",
         {"state_dtype": "bfloat16", "differentiable": True}),
        (ValueError, "master_weights must be None with differentiable=True",
         {"master_weights": "split", "differentiable": True}),
        (RuntimeError, "fused and foreach cannot both be True", {"fused": True, "foreach": True}),
        (RuntimeError, "fused must be None or False with differentiable=True",
         {"fused": True, "differentiable": True}),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(
    error: type[Exception], words: str, options: Options
) -> None:
    with pytest.raises(error, match=words.replace("'", "['\"]")):
        AdaBelief([torch.zeros(2)], **options)


def test_parameters_that_an_option_is_not_for_are_refused() -> None:
    for dtype in (torch.float64, torch.complex64):
        with pytest.raises(ValueError, match=f"state_dtype must be None for parameters of {dtype}"):
            AdaBelief([torch.zeros(2, dtype=dtype)], state_dtype="bfloat16")
    with pytest.raises(
        ValueError, match=r"master_weights must be None for parameters of torch\.float16"
    ):
        AdaBelief([torch.zeros(2, dtype=torch.float16)], master_weights="split")
    embedding = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = AdaBelief(embedding.parameters(), state_dtype="bfloat16")
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="does not support sparse gradients with state_dtype"):
        optimizer.step()


@pytest.mark.parametrize("formats", [*SMALL.values(), *MASTERS.values()], ids=str)
def test_projections_get_the_wide_numbers(formats: Options) -> None:
    dtype = torch.bfloat16 if "master_weights" in formats else torch.float32
    seen = []

    class Ball(L2Ball):
        def project(self, point: Tensor, metric: Tensor) -> Tensor:
            seen.append((point.dtype, metric.dtype))
            return super().project(point, metric)

    param = torch.full((300,), 2.0, dtype=dtype).requires_grad_()
    optimizer = AdaBelief([param], lr=0.1, feasible_set=Ball(1.0), **formats)
    param.grad = torch.randn(300).to(dtype)
    optimizer.step()
    assert set(seen) == {(torch.float32, torch.float32)}
    assert param.detach().float().norm() <= 1 + 2**-7
