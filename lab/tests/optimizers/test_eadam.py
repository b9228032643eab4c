"""EAdam against its recursion in NumPy float64, and its behaviour as a torch optimizer."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adabelief import AdaBelief
from adabelief_lab.optimizers.implementations.eadam import EAdam

STEPS = 12
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "large eps": {"eps": 1e-3},
    "small betas": {"betas": (0.5, 0.7), "lr": 0.1},
    "decay": {"weight_decay": 0.3, "lr": 0.05},
    "maximize": {"maximize": True},
}


def grads(seed: int = 0) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(3, 4)) * 10.0 ** random.integers(-3, 2) for _ in range(STEPS)]


def oracle(
    param: NDArray[np.float64],
    gradients: list[NDArray[np.float64]],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> list[tuple[NDArray[np.float64], ...]]:
    """θ, m, v after each step, from Yuan & Gao 2020, Algorithm 1."""
    beta1, beta2 = betas
    m, v = np.zeros_like(param), np.zeros_like(param)
    history: list[tuple[NDArray[np.float64], ...]] = []
    for step, gradient in enumerate(gradients, start=1):
        g = -gradient if maximize else gradient
        param = param - lr * weight_decay * param
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2 + eps
        m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
        param = param - lr * m_hat / (np.sqrt(v_hat) + eps)
        history.append((param, m, v))
    return history


def start(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    random = np.random.default_rng(1)
    return torch.tensor(random.normal(size=(3, 4)), dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_the_oracle_s(case: str) -> None:
    param = start()
    optimizer = EAdam([param], **CASES[case])
    expected = oracle(param.detach().numpy().copy(), grads(), **CASES[case])
    for step, (gradient, values) in enumerate(zip(grads(), expected, strict=True), start=1):
        param.grad = torch.from_numpy(gradient)
        optimizer.step()
        state = optimizer.state[param]
        found = (param.detach(), state["exp_avg"], state["exp_avg_sq"])
        for tensor, value in zip(found, values, strict=True):
            # A few roundings a step, each 2⁻⁵³ of the largest number that goes into it.
            bound = 8 * step * 2.0**-53 * max(1e-3, np.abs(value).max())
            np.testing.assert_allclose(tensor.numpy(), value, rtol=8 * step * 2**-53, atol=bound)
        assert state["step"].item() == step


def test_gradient_is_left_as_it_was() -> None:
    param = start()
    gradient = torch.from_numpy(grads()[0])
    param.grad = gradient.clone()
    EAdam([param], weight_decay=0.1, maximize=True).step()
    assert torch.equal(param.grad, gradient)


def test_parameter_without_gradient_is_left_alone() -> None:
    with_grad, without = start(), start()
    with_grad.grad = torch.from_numpy(grads()[0])
    optimizer = EAdam([with_grad, without], weight_decay=0.1)
    optimizer.step()
    assert torch.equal(without, start())
    assert without not in optimizer.state


@pytest.mark.parametrize("how", ["state_dict", "pickle", "deepcopy"])
def test_interrupted_run_is_the_uninterrupted_one(how: str) -> None:
    param = start(torch.float32)
    optimizer = EAdam([param], lr=0.1, weight_decay=0.1)
    resumed = optimizer
    for step, gradient in enumerate(grads()):
        if step == 5:
            resumed = carry_over(optimizer, how)
        for each in {id(optimizer): optimizer, id(resumed): resumed}.values():
            each.param_groups[0]["params"][0].grad = torch.from_numpy(gradient).float()
            each.step()
    other = resumed.param_groups[0]["params"][0]
    assert other is not param
    assert torch.equal(other, param)


def carry_over(optimizer: EAdam, how: str) -> EAdam:
    if how == "pickle":
        return pickle.loads(pickle.dumps(optimizer))
    if how == "deepcopy":
        return copy.deepcopy(optimizer)
    param = optimizer.param_groups[0]["params"][0].detach().clone().requires_grad_()
    resumed = EAdam([param])
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return resumed


def test_options_belong_to_groups() -> None:
    frozen, moving = start(), start()
    groups: list[dict[str, Any]] = [{"params": [frozen], "lr": 0.0}, {"params": [moving]}]
    optimizer = EAdam(groups, lr=0.1)
    for param in (frozen, moving):
        param.grad = torch.from_numpy(grads()[0])
    optimizer.step()
    assert torch.equal(frozen, start())
    assert not torch.equal(moving, start())


def test_closure_is_called_with_gradients_on() -> None:
    param = start()
    optimizer = EAdam([param])

    def closure() -> float:
        loss = (param**2).sum()
        loss.backward()
        return loss.item()

    before = (start() ** 2).sum().item()
    assert optimizer.step(closure) == before
    assert not torch.equal(param, start())


def test_differs_from_adabelief_by_the_belief_alone() -> None:
    """At the first step g − m = β1 g: AdaBelief's s is EAdam's v of the gradient β1 g."""
    beta1 = 0.9
    belief, eadam = start(), start()
    belief.grad = torch.from_numpy(grads()[0])
    eadam.grad = belief.grad * beta1
    ours = AdaBelief([belief], betas=(beta1, 0.999), eps=1e-8)
    theirs = EAdam([eadam], betas=(beta1, 0.999), eps=1e-8)
    ours.step()
    theirs.step()
    torch.testing.assert_close(
        ours.state[belief]["exp_avg_var"], theirs.state[eadam]["exp_avg_sq"], rtol=1e-12, atol=0.0
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, r"lr must be in \[0, inf\), got -1.0"),
        ({"eps": float("nan")}, r"eps must be in \[0, inf\), got nan"),
        ({"weight_decay": -0.1}, r"weight_decay must be in \[0, inf\), got -0.1"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\] must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_values_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EAdam([start()], **options)


def test_sparse_gradient_is_refused() -> None:
    param = start()
    param.grad = torch.eye(3, 4, dtype=torch.float64).to_sparse()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        EAdam([param]).step()


def test_signature_names_the_options() -> None:
    found = str(inspect.signature(EAdam))
    assert found == (
        "(params, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, *, "
        "decoupled_weight_decay=True, maximize=False)"
    )


@pytest.mark.parametrize(
    ("positional", "given", "message"),
    [
        ((), {"epsilon": 1.0}, "EAdam: got an unexpected keyword argument 'epsilon'"),
        ((1e-3, (0.9, 0.999), 1e-8, 0.0, True), {}, "EAdam: too many positional arguments"),
    ],
)
def test_unknown_argument_is_refused(
    positional: tuple[Any, ...], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        EAdam([start()], *positional, **given)
