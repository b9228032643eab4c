"""Every optimizer, as it is declared, against its paper's recursion in NumPy float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import recursions
from adabelief.reference import adabelief, initial
from adabelief_lab.common.make_optimizer import load_class
from adabelief_lab.optimizers import OPTIMIZERS, resolve
from adabelief_lab.optimizers.implementations import import_path, make_declared_optimizer
from adabelief_lab.optimizers.implementations.per_parameter import PerParameter
from adabelief_lab.optimizers.implementations.swats import SWATS

Array = NDArray[np.float64]
STEPS = 30
SHAPE = (3, 4)


class Case(NamedTuple):
    """An optimizer's recursion, its settings beyond the spec's own, and its tolerance.

    `rtol` is for one step, of the largest move so far: some roundings of 2⁻⁵³, more where a
    library computes in another order; torch's NAdam keeps its product of momenta in float32.
    """

    run: Callable[..., list[Array]]
    given: Mapping[str, Any] = {}
    hidden: tuple[str, ...] = ()
    rtol: float = 64 * 2.0**-53


def belief(w: Array, grads: list[Array], lr: float, **options: Any) -> list[Array]:
    """Algorithm 2, by reference.py."""
    state, path = initial(w), []
    for grad in grads:
        state = adabelief(state, grad, lr, **options)
        path.append(state.param)
    return path


ADAM = {"weight_decay": 0.0}
CASES: dict[str, Case] = {
    "adabelief": Case(belief),
    "adabelief-eps1e-8": Case(belief),
    "adabelief-l2": Case(belief),
    "eadam": Case(recursions.eadam),
    "acprop": Case(recursions.acprop),
    "adam": Case(recursions.adam),
    "adamw": Case(recursions.adam, {"decoupled": True}),
    "amsgrad": Case(recursions.adam),
    "sgd": Case(recursions.sgd, {"nesterov": False}),
    "sgd-nesterov": Case(recursions.sgd),
    "sgd-ema": Case(recursions.sgd_ema),
    "nadam": Case(recursions.nadam, rtol=2.0**-24),
    "radam": Case(recursions.radam),
    "rmsprop": Case(recursions.rmsprop),
    "adagrad": Case(recursions.adagrad),
    "adadelta": Case(recursions.adadelta),
    "adabound": Case(recursions.adabound, {"amsbound": False}),
    "amsbound": Case(recursions.adabound),
    "yogi": Case(recursions.yogi, hidden=("weight_decouple",)),
    "msvag": Case(recursions.msvag, rtol=1e-9),
    "fromage": Case(recursions.fromage),
    "padam": Case(recursions.padam),
    "swats": Case(recursions.swats),
    "lookahead+sgd": Case(recursions.lookahead(recursions.sgd), {"k": 5, "alpha": 0.5}),
    "lars+sgd": Case(recursions.lars, {"trust": 0.02, "weight_decay": 0.0}),
}


def start() -> Array:
    return np.random.default_rng(1).normal(size=SHAPE)


def gradients() -> list[Array]:
    """Of several sizes, with a direction that they share, and a few exact zeros."""
    random = np.random.default_rng(2)
    common = random.normal(size=SHAPE)
    grads = [
        (common + random.normal(size=SHAPE)) * 10.0 ** random.integers(-2, 2) for _ in range(STEPS)
    ]
    for grad in grads[3::7]:
        grad[0, 0] = 0.0
    return grads


def made(name: str, param: Tensor, **changes: Any) -> tuple[torch.optim.Optimizer, dict[str, Any]]:
    """The optimizer's optimizer at the middle of its range, and its keyword arguments."""
    (spec,) = resolve([name])
    (point,) = spec.plan(1)
    arguments = {**spec.arguments(point), **changes}
    return make_declared_optimizer(spec, [param], arguments), arguments


def class_of(name: str) -> type[torch.optim.Optimizer]:
    return load_class(import_path(resolve([name])[0].implementation))


def test_every_optimizer_has_its_recursion() -> None:
    assert set(OPTIMIZERS) <= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_the_paper_s(name: str) -> None:
    case = CASES[name]
    param = torch.tensor(start(), requires_grad=True)
    # LARS has its own decay; the decay of sgd inside would be another one.
    changes = {"weight_decay": 0.0} if name == "lars+sgd" else {}
    optimizer, arguments = made(name, param, **changes)
    options = {key: value for key, value in arguments.items() if key not in case.hidden}
    expected = case.run(start(), gradients(), **{**options, **case.given})
    largest = 0.0
    before = start()
    for step, (grad, value) in enumerate(zip(gradients(), expected, strict=True), start=1):
        param.grad = torch.tensor(grad)
        optimizer.step()
        largest = max(largest, float(np.abs(value - before).max()), float(np.abs(value).max()))
        before = value
        np.testing.assert_allclose(
            param.detach().numpy(),
            value,
            rtol=0,
            atol=step * case.rtol * largest,
            err_msg=f"{step}",
        )
        if not class_of(name).__module__.startswith("pytorch_optimizer"):  # which adds decay to it
            np.testing.assert_array_equal(param.grad.numpy(), grad)


def test_coupled_decay_is_part_of_the_gradient() -> None:
    """The other switch of the classes of this project: padam has it coupled, eadam decoupled."""
    for name, coupled in (("eadam", recursions.adam), ("acprop", None)):
        param = torch.tensor(start(), requires_grad=True)
        plain = torch.tensor(start(), requires_grad=True)
        decayed, _ = made(name, param, weight_decay=0.1, decoupled_weight_decay=False)
        without, _ = made(name, plain, weight_decay=0.0)
        for grad in gradients():
            param.grad = torch.tensor(grad)
            plain.grad = torch.tensor(grad) + 0.1 * plain.detach()
            decayed.step()
            without.step()
            torch.testing.assert_close(param, plain, rtol=1e-12, atol=1e-14)
        assert coupled is None or isinstance(decayed, PerParameter)


def test_swats_switches_once_and_follows_the_schedule() -> None:
    """Along one constant gradient the needed learning rate settles at once."""
    param = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = SWATS([param], lr=0.01, tolerance=1e-3)
    grad = torch.tensor([0.5, -0.25], dtype=torch.float64)
    for _ in range(4):
        param.grad = grad.clone()
        optimizer.step()
    group = optimizer.param_groups[0]
    assert group["sgd_factor"] is not None
    path = recursions.swats(
        np.array([1.0, 2.0]), [grad.numpy()] * 4, 0.01, (0.9, 0.999), 1e-9, 1e-3
    )
    np.testing.assert_allclose(param.detach().numpy(), path[-1], rtol=1e-12)
    buffer = optimizer.state[param]["momentum_buffer"].clone()
    before = param.detach().clone()
    group["lr"] = 0.001  # a schedule: a tenth
    param.grad = grad.clone()
    optimizer.step()
    rate = 0.1 * 0.01 * group["sgd_factor"]
    torch.testing.assert_close(
        param.detach(), before - 0.1 * rate * (0.9 * buffer + grad), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", [*CASES, "lookahead+adabelief", "lars+adam", "lookahead+lars+sgd"])
def test_a_checkpoint_goes_on_bit_for_bit(name: str) -> None:
    """As the laboratory resumes: state_dict through a copy into a new optimizer."""
    straight = torch.tensor(start(), dtype=torch.float32, requires_grad=True)
    optimizer, _ = made(name, straight)
    for grad in gradients()[:13]:
        straight.grad = torch.tensor(grad).float()
        optimizer.step()
    resumed = straight.detach().clone().requires_grad_()
    fresh, _ = made(name, resumed)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for grad in gradients()[13:]:
        for param, each in ((straight, optimizer), (resumed, fresh)):
            param.grad = torch.tensor(grad).float()
            for group in each.param_groups:
                group["lr"] *= 0.9  # as a schedule, which must reach the optimizer inside
            each.step()
        assert torch.equal(straight, resumed)


def test_lookahead_is_that_of_pytorch_optimizer() -> None:
    """Another implementation that is faithful (checked by its formula in facts of peers)."""
    from pytorch_optimizer import Lookahead  # noqa: PLC0415, only this test needs it

    ours, theirs = (torch.tensor(start(), requires_grad=True) for _ in range(2))
    wrapped, arguments = made("lookahead+sgd", ours)
    inner = torch.optim.SGD([theirs], **arguments)
    other = Lookahead(inner, k=5, alpha=0.5)
    for grad in gradients():
        ours.grad, theirs.grad = torch.tensor(grad), torch.tensor(grad)
        wrapped.step()
        other.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-15)


def test_lars_leaves_vectors_alone() -> None:
    bias = torch.ones(4, dtype=torch.float64, requires_grad=True)
    optimizer, arguments = made("lars+sgd", bias, weight_decay=0.0)
    bias.grad = torch.full((4,), 0.5, dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(bias.detach(), torch.ones(4).double() - arguments["lr"] * 0.5)
