"""What cannot be done with released gradients is refused with the reason, and nothing moves."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adabelief import AdaBelief, release_gradients
from adabelief.gradient_release import ACCUMULATION, AVERAGE, SCALER, ReleasedGradient
from ranks import released
from ranks.launch import run

INPUTS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def released_mlp() -> tuple[nn.Sequential, AdaBelief]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = AdaBelief(model.parameters(), lr=0.1)
    release_gradients(model, optimizer)
    return model, optimizer


def loss(model: nn.Module) -> Tensor:
    out: Tensor = model(INPUTS).square().sum()
    return out


def values(model: nn.Module) -> list[Tensor]:
    return [param.detach().clone() for param in model.parameters()]


def moved(model: nn.Module, before: list[Tensor]) -> bool:
    return any(
        not torch.equal(param, value)
        for param, value in zip(model.parameters(), before, strict=True)
    )


def goes_on(model: nn.Module, optimizer: AdaBelief) -> None:
    """After an error, and `step()`, training goes on."""
    optimizer.step()
    assert all(param.grad is None for param in model.parameters())
    before = values(model)
    loss(model).backward()
    assert moved(model, before)


# What a user may do with gradients between backward and step().


def has(reason: str) -> str:
    """A pattern for a message with this reason and a parameter's name."""
    return rf"gradient of (0|2)\.(weight|bias).*{re.escape(reason)}"


def scaler_step(model: nn.Module, optimizer: AdaBelief) -> None:
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))  # as loss: makes the scale
    scaler.step(optimizer)


def scaler_unscale(model: nn.Module, optimizer: AdaBelief) -> None:
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    scaler.unscale_(optimizer)


def each(what: Callable[[Tensor], Any]) -> Callable[[nn.Module, AdaBelief], None]:
    def act(model: nn.Module, optimizer: AdaBelief) -> None:
        for param in model.parameters():
            assert param.grad is not None
            what(param.grad)

    return act


CLIP = "clip_update"
ACTS: dict[str, tuple[Callable[[nn.Module, AdaBelief], Any], str]] = {
    "norm": (lambda model, _: nn.utils.clip_grad_norm_(model.parameters(), 1.0), CLIP),
    "norm foreach": (
        lambda model, _: nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True),
        CLIP,
    ),
    "norm of infinity": (
        lambda model, _: nn.utils.clip_grad_norm_(model.parameters(), 1.0, float("inf")),
        CLIP,
    ),
    "norm for a log": (each(Tensor.norm), CLIP),
    "value": (lambda model, _: nn.utils.clip_grad_value_(model.parameters(), 1.0), CLIP),
    "value loop": (
        lambda model, _: nn.utils.clip_grad_value_(model.parameters(), 1.0, foreach=False),
        CLIP,
    ),
    "scaler.step": (scaler_step, SCALER),
    "scaler.unscale_": (scaler_unscale, SCALER),
    "another backward": (lambda model, _: loss(model).backward(), ACCUMULATION),
    "arithmetic": (each(lambda grad: grad * 2), "param.register_hook"),
    "mean": (each(Tensor.mean), "param.register_hook"),
    "data": (each(lambda grad: grad.data), "param.register_hook"),
    "zeroed in place": (
        lambda _, optimizer: optimizer.zero_grad(set_to_none=False),
        "param.register_hook",
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_needs_a_gradient_that_was_freed(act: str) -> None:
    model, optimizer = released_mlp()
    loss(model).backward()
    before = values(model)
    do, reason = ACTS[act]
    with pytest.raises(RuntimeError, match=has(reason)):
        do(model, optimizer)
    assert not moved(model, before)
    goes_on(model, optimizer)


def test_the_placeholder_says_what_it_is() -> None:
    model, _ = released_mlp()
    loss(model).backward()
    grad = model.get_parameter("2.bias").grad
    assert repr(grad) == f"{grad}" == "ReleasedGradient(2.bias)"
    assert grad is not None
    assert grad.shape == (2,)


def test_clipping_each_gradient_before_it_is_used() -> None:
    """What the message advises works, and a scaler that is off is no scaler."""
    model, optimizer = released_mlp()
    twin = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    twin.load_state_dict(model.state_dict())
    usual = AdaBelief(twin.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)

    def clip(grad: Tensor) -> Tensor:
        return grad * (0.1 / grad.norm()).clamp(max=1)

    for param in model.parameters():
        param.register_hook(clip)
    for _ in range(3):
        torch.autograd.backward(scaler.scale(loss(model)))
        scaler.step(optimizer)
        scaler.update()
        usual.zero_grad()
        loss(twin).backward()
        for param in twin.parameters():
            assert param.grad is not None
            param.grad = clip(param.grad)
        usual.step()
    assert not moved(model, values(twin))


# More than one backward for one step().


def test_a_second_backward_after_zero_grad() -> None:
    """Its gradients would have been thrown away; the placeholders were."""
    model, optimizer = released_mlp()
    loss(model).backward()
    optimizer.zero_grad()
    before = values(model)
    with pytest.raises(RuntimeError, match=r"second gradient of \d\.\w+ before optimizer\.step"):
        loss(model).backward()
    assert not moved(model, before)
    goes_on(model, optimizer)


def test_a_closure_that_calls_backward_twice() -> None:
    model, optimizer = released_mlp()

    def closure() -> Tensor:
        for _ in range(2):
            optimizer.zero_grad()
            value = loss(model)
            value.backward()
        return value

    with pytest.raises(RuntimeError, match="second gradient"):
        optimizer.step(closure)
    goes_on(model, optimizer)


def test_a_closure_after_a_backward_of_its_own() -> None:
    model, optimizer = released_mlp()
    loss(model).backward()
    before = values(model)
    with pytest.raises(RuntimeError, match=has(ACCUMULATION)):
        optimizer.step(lambda: loss(model).backward())
    assert not moved(model, before)
    goes_on(model, optimizer)


def test_an_adversary_that_is_not_frozen() -> None:
    model, optimizer = released_mlp()
    judge = nn.Linear(2, 1)
    other = AdaBelief(judge.parameters())
    release_gradients(judge, other)
    judge(model(INPUTS)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    other.zero_grad()
    with pytest.raises(RuntimeError, match="freeze"):
        judge(model(INPUTS).detach()).sum().backward()


def test_a_graph_that_is_kept_for_another_backward() -> None:
    model, optimizer = released_mlp()
    value = loss(model)
    value.backward(retain_graph=True)
    before = values(model)
    # torch sees that the weights that backward needs have moved, or we that it is the second
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation|gradient of"):
        value.backward()
    assert not moved(model, before)
    goes_on(model, optimizer)


def test_a_parameter_of_two_recomputed_parts_has_two_gradients() -> None:
    layer = nn.Linear(3, 3)
    release_gradients(layer, AdaBelief(layer.parameters()))
    inputs = INPUTS.clone().requires_grad_()
    inside = checkpoint(layer, inputs, use_reentrant=True)
    outside = checkpoint(layer, inside, use_reentrant=True)
    with pytest.raises(RuntimeError):
        outside.sum().backward()


# What can be seen before anything moves.


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True:UserWarning")
def test_a_graph_of_the_gradient() -> None:
    model, optimizer = released_mlp()
    before = values(model)
    with pytest.raises(RuntimeError, match=r"create_graph=True.*torch\.autograd\.grad"):
        torch.autograd.backward(loss(model), create_graph=True)
    assert not moved(model, before)
    optimizer.zero_grad()
    optimizer.param_groups[0]["lr"] = 0.2  # nothing was stepped with the old one
    goes_on(model, optimizer)


def test_a_graph_of_cuda_with_a_count_that_the_host_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two questions to CUDA are answered by the test, as there is no device to ask."""
    model, _ = released_mlp()
    before = values(model)
    value = loss(model)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="capturable must be True to capture"):
        value.backward()
    assert not moved(model, before)


@pytest.mark.parametrize("name", ["grad_scale", "found_inf"])
def test_a_scale_in_the_optimizer(name: str) -> None:
    model, optimizer = released_mlp()
    setattr(optimizer, name, torch.ones(()))
    before = values(model)
    with pytest.raises(RuntimeError, match=rf"optimizer\.{name}.*GradScaler"):
        loss(model).backward()
    assert not moved(model, before)
    delattr(optimizer, name)
    optimizer.zero_grad()
    goes_on(model, optimizer)


def test_a_differentiable_step() -> None:
    model = nn.Linear(3, 2)
    optimizer = AdaBelief(model.parameters(), differentiable=True)
    with pytest.raises(ValueError, match=r"differentiable must be False.*got True"):
        release_gradients(model, optimizer)
    assert not optimizer._optimizer_step_pre_hooks


def test_a_differentiable_group_that_comes_later() -> None:
    model, optimizer = released_mlp()
    optimizer.param_groups[0]["differentiable"] = True
    before = values(model)
    with pytest.raises(ValueError, match="differentiable must be False"):
        loss(model).backward()
    assert not moved(model, before)


def test_an_option_that_changes_between_backward_and_step() -> None:
    """Such as a warm-up that sets lr just before step(): it would act one step late."""
    model, optimizer = released_mlp()
    loss(model).backward()
    optimizer.param_groups[0]["lr"] = 0.2
    with pytest.raises(RuntimeError, match=r"lr must be set before backward.* got 0\.2 .*of 0\.1"):
        optimizer.step()
    goes_on(model, optimizer)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.3  # here it may
    loss(model).backward()
    optimizer.param_groups[0]["lr"] = float("0.3")  # equal: no change
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.4
    optimizer.step()  # no backward before it
    optimizer.zero_grad()

    def closure() -> Tensor:
        value = loss(model)
        value.backward()
        optimizer.param_groups[0]["lr"] = 0.5
        return value

    optimizer.param_groups[0]["lr"] = 0.6
    with pytest.raises(RuntimeError, match="lr must be set before backward"):
        optimizer.step(closure)


def test_gradients_that_an_option_cannot_take_are_as_in_step() -> None:
    model = nn.Embedding(5, 2, sparse=True)
    optimizer = AdaBelief(model.parameters(), weight_decay=0.1)
    release_gradients(model, optimizer)
    before = values(model)
    with pytest.raises(RuntimeError, match="sparse gradients with weight_decay"):
        model(torch.tensor([1])).sum().backward()
    assert not moved(model, before)


# What can be seen at once.


def test_not_an_adabelief() -> None:
    model = nn.Linear(3, 2)
    optimizer: Any = torch.optim.AdamW(model.parameters())
    with pytest.raises(TypeError, match=r"must be the AdaBelief itself, .* got AdamW"):
        release_gradients(model, optimizer)


def test_not_a_module() -> None:
    model = nn.Linear(3, 2)
    params: Any = model.parameters()
    with pytest.raises(TypeError, match=r"torch\.nn\.Module, got generator"):
        release_gradients(params, AdaBelief(model.parameters()))


def test_nothing_in_common() -> None:
    with pytest.raises(ValueError, match="parameters in common"):
        release_gradients(nn.Linear(3, 2), AdaBelief(nn.Linear(3, 2).parameters()))


def test_released_twice() -> None:
    model, optimizer = released_mlp()
    with pytest.raises(ValueError, match=r"released once, got 0\.weight again"):
        release_gradients(model, optimizer)
    with pytest.raises(ValueError, match=r"released once, got weight again"):
        release_gradients(model.get_submodule("2"), AdaBelief(model.parameters()))
    loss(model).backward()
    assert isinstance(model.get_parameter("0.weight").grad, ReleasedGradient)
    goes_on(model, optimizer)


def test_gradients_that_are_averaged_later() -> None:
    run(released.averaged_later, ranks=2)


def test_reasons_are_told_apart() -> None:
    assert len({CLIP, SCALER, ACCUMULATION, AVERAGE}) == 4
