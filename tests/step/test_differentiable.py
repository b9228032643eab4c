"""Autograd goes through the step: gradcheck for everything a step depends on."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from cases import normal
from paths import EXAMPLES

EXAMPLE = EXAMPLES / "meta_learning.py"

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "eps in both places": {"eps": 0.1},
    "coupled": {"decoupled_weight_decay": False},
    "fixed": {"fixed_decay": True},
    "amsgrad": {"amsgrad": True},
    "rectify": {"rectify": True},
    "no bias correction": {"bias_correction": False},
    "clip": {"clip_update": 0.5},
    "maximize": {"maximize": True, "decoupled_weight_decay": False},
    "all at once": {"amsgrad": True, "rectify": True, "clip_update": 0.5, "maximize": True},
}


def one_step(
    options: dict[str, Any], step: float, capturable: bool
) -> Callable[..., tuple[Tensor, ...]]:
    """One update as a function of everything it depends on."""

    def function(
        param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_var: Tensor, most: Tensor,
        lr: Tensor, weight_decay: Tensor, beta1: Tensor, beta2: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        param = param.clone()
        param.grad = grad
        optimizer = AdaBelief(
            [param], lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, eps=1e-3,
            differentiable=True, capturable=capturable,
            **{k: v for k, v in options.items() if k != "eps"},
        )  # fmt: skip
        optimizer.param_groups[0]["eps"] = options.get("eps", 1e-3)
        state = {"exp_avg": exp_avg.clone(), "exp_avg_var": exp_avg_var.clone()}
        if optimizer.param_groups[0]["amsgrad"]:
            state["max_exp_avg_var"] = most.clone()
        optimizer.state[param] = {"step": torch.tensor(step), **state}
        optimizer.step()
        return param, *(value for key, value in optimizer.state[param].items() if key != "step")

    return function


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("step", [0.0, 9.0])
@pytest.mark.parametrize("name", OPTIONS)
def test_gradcheck_of_one_step(name: str, step: float, capturable: bool) -> None:
    random = torch.Generator().manual_seed(0)
    param, grad, exp_avg = (normal(4)(random, torch.float64) for _ in range(3))
    exp_avg_var, most = (normal(4)(random, torch.float64) ** 2 + 0.1 for _ in range(2))
    scalars = [torch.tensor(x, dtype=torch.float64) for x in (0.1, 0.2, 0.7, 0.9)]
    inputs = [param, grad, exp_avg, exp_avg_var, most, *scalars]
    for tensor in inputs:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(one_step(OPTIONS[name], step, capturable), inputs)


def test_second_derivatives_exist_and_are_right() -> None:
    random = torch.Generator().manual_seed(1)
    param, grad = (normal(3)(random, torch.float64).requires_grad_() for _ in range(2))

    def function(param: Tensor, grad: Tensor) -> Tensor:
        param = param.clone()
        param.grad = grad
        AdaBelief([param], lr=0.1, eps=1e-3, differentiable=True).step()
        return param

    assert torch.autograd.gradgradcheck(function, (param, grad))


def test_a_gradient_of_zero_has_a_finite_derivative() -> None:
    """√s at s = 0 has none; ε in s is what helps (torch's Adam gives NaN here)."""
    param, grad = torch.zeros(2), torch.zeros(2, requires_grad=True)
    param = param.clone()
    param.grad = grad
    AdaBelief([param], differentiable=True).step()
    param.sum().backward()
    # dθ/dg = −lr / (√ŝ + ε): m̂ = g at the first step, and dŝ/dg = 0 at g = 0.
    expected = -1e-3 / ((1e-16 / 1e-3) ** 0.5 + 1e-16)
    assert grad.grad is not None
    assert torch.allclose(grad.grad, torch.full((2,), expected), rtol=1e-6)


def test_several_steps_are_one_graph() -> None:
    """d(θ after 3 steps on θ²) / d(lr), against central differences."""

    @torch.enable_grad()  # gradcheck turns it off for its differences
    def trained(lr: Tensor) -> Tensor:
        param = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True).clone()
        optimizer = AdaBelief([param], lr=lr, eps=1e-6, differentiable=True)
        for _ in range(3):
            now = param.clone()  # what autograd saves must not be what the step writes into
            (param.grad,) = torch.autograd.grad((now**2).sum(), now, create_graph=True)
            optimizer.step()
        return param

    assert torch.autograd.gradcheck(
        trained, torch.tensor(0.1, dtype=torch.float64).requires_grad_()
    )


def test_without_differentiable_nothing_is_recorded() -> None:
    param = torch.ones(2, requires_grad=True)
    param.grad = torch.ones(2, requires_grad=True)
    lr = torch.tensor(0.1, requires_grad=True)
    optimizer = AdaBelief([param], lr=lr)
    optimizer.step()
    assert param.grad_fn is None
    assert not any(value.requires_grad for value in optimizer.state[param].values())


def test_a_leaf_is_refused_by_autograd_and_named_by_the_docstring() -> None:
    param = torch.ones(2, requires_grad=True)
    param.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        AdaBelief([param], differentiable=True).step()
    assert "must then not be leaves" in str(AdaBelief.__doc__)


def test_foreach_is_refused() -> None:
    with pytest.raises(ValueError, match="foreach must be None or False with differentiable=True"):
        AdaBelief([torch.ones(1)], differentiable=True, foreach=True)


def test_the_example_learns_a_better_learning_rate_by_the_true_hypergradient(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("sklearn")  # the example's data
    module = runpy.run_path(str(EXAMPLE))
    loss_after = module["loss_after"]
    log_lr = torch.tensor(-7.0, dtype=torch.float64, requires_grad=True)
    loss = loss_after(log_lr)
    (slope,) = torch.autograd.grad(loss, log_lr)
    h = 1e-5  # the difference's own error is O(h²) = 1e-10 of the third derivative
    ends = [loss_after(log_lr.detach() + sign * h).item() for sign in (1, -1)]
    assert slope.item() == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)
    module["main"]()
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("lr 0.00091")
    assert float(last.split()[-1]) < float(first.split()[-1])
