"""Stepping inside backward ends, after every iteration, where stepping after backward ends."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.checkpoint import checkpoint

from adabelief import AdaBelief, release_gradients
from adabelief.feasible import Box, L2Ball
from adabelief.gradient_release import ReleasedGradient
from cases import CASES, Case
from replay import assert_equal

STEPS = 8  # beyond the 6th, where rectification starts
LETTERS = 300
Options = Mapping[str, Any]


class Tied(nn.Module):
    """Embedding and output are one parameter; its size and the others' take both CPU paths."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, 32)
        self.hidden = nn.Linear(32, 32)
        self.norm = nn.LayerNorm(32)
        self.output = nn.Linear(32, LETTERS, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, letters: Tensor) -> Tensor:
        inside = self.norm(torch.tanh(self.hidden(self.embedding(letters))))
        return self.output(inside)


class Pair:
    """A model that is released and its twin that is not; `step` trains and compares them."""

    def __init__(self, make: Callable[[], nn.Module], optimizer: Callable[..., AdaBelief]) -> None:
        torch.manual_seed(0)
        self.released = make()
        self.usual = copy.deepcopy(self.released)
        self.ours, self.theirs = optimizer(self.released), optimizer(self.usual)
        self.handle = release_gradients(self.released, self.ours)

    def step(self, loss: Callable[[nn.Module], Tensor]) -> None:
        for model, optimizer in ((self.released, self.ours), (self.usual, self.theirs)):
            optimizer.zero_grad()
            torch.autograd.backward(loss(model))
            if model is self.released:
                self.check_freed()
            optimizer.step()
        self.compare()

    def check_freed(self) -> None:
        for param in self.released.parameters():
            if param.requires_grad:
                assert isinstance(param.grad, ReleasedGradient)
                assert param.grad.data_ptr() == 0

    def compare(self) -> None:
        ours, theirs = (dict(model.named_parameters()) for model in (self.released, self.usual))
        for name, param in ours.items():
            same(param.detach(), theirs[name].detach(), name)
            state, truth = self.ours.state[param], self.theirs.state[theirs[name]]
            assert state.keys() == truth.keys()
            for key, value in truth.items():
                same(state[key], value, f"{key} of {name}")


def same(got: Tensor, truth: Tensor, what: str) -> None:
    """Equal bit for bit, NaN included."""
    assert got.dtype == truth.dtype, what
    torch.testing.assert_close(got, truth, rtol=0, atol=0, equal_nan=True, msg=lambda m: what + m)


def plain(**options: Any) -> Callable[[nn.Module], AdaBelief]:
    return lambda model: AdaBelief(model.parameters(), **{"lr": 0.01, **options})


def two_groups(model: nn.Module) -> AdaBelief:
    """Matrices decay; vectors learn faster and keep a maximum."""
    every = list(model.parameters())
    return AdaBelief(
        [
            {"params": [param for param in every if param.ndim > 1], "weight_decay": 0.1},
            {"params": [param for param in every if param.ndim == 1], "lr": 0.1, "amsgrad": True},
        ],
        lr=0.01,
    )


def numbered(model: nn.Module, **options: Any) -> AdaBelief:
    """8-bit state has no maximum. The second group's numbers go on where the first one's end."""
    every = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": every[2:]},
        {"params": every[:2], "weight_decay": 0.1},
    ]
    return AdaBelief(groups, lr=0.01, **options)


def letters(step: int) -> Tensor:
    return torch.randint(LETTERS, (9,), generator=torch.Generator().manual_seed(step))


def next_letter(step: int) -> Callable[[nn.Module], Tensor]:
    read = letters(step)
    return lambda model: functional.cross_entropy(model(read[:-1]).float(), read[1:])


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def weight(model: nn.Module, index: int) -> nn.Parameter:
    return model.get_parameter(f"{index}.weight")


def square(step: int, size: int = 3) -> Callable[[nn.Module], Tensor]:
    inputs = torch.randn(4, size, generator=torch.Generator().manual_seed(step))

    def loss(model: nn.Module) -> Tensor:
        return model(inputs.to(next(model.parameters()).dtype)).square().sum()

    return loss


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case(case: Case, dtype: torch.dtype) -> None:
    pair = Pair(lambda: Tied().to(dtype), plain(**case.options))
    for step in range(STEPS):
        pair.step(next_letter(step))


@pytest.mark.parametrize(
    "options",
    [
        {"foreach": True},
        {"foreach": False},
        {"fused": True},
        {"fused": False},
        {"capturable": True, "rectify": True},
        {"lr": torch.tensor(0.01)},
        {"feasible_set": Box(-0.1, 0.1)},
        {"feasible_set": L2Ball(0.5)},
    ],
    ids=str,
)
def test_every_path(options: Options) -> None:
    pair = Pair(Tied, plain(**options))
    for step in range(STEPS):
        pair.step(next_letter(step))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"state_dtype": "bfloat16"},
        {"state_dtype": "8bit"},
        {"master_weights": "split"},
        {"master_weights": "stochastic"},
        {"master_weights": "stochastic", "state_dtype": "8bit", "rectify": True},
    ],
    ids=str,
)
def test_small_state_rounds_by_the_same_random_bits(options: Options, fused: bool) -> None:
    """They depend on the parameter's number in the optimizer, which a hook must know."""
    dtype = torch.bfloat16 if "master_weights" in options else torch.float32
    pair = Pair(lambda: Tied().to(dtype), partial(numbered, fused=fused, **options))
    for step in range(STEPS):
        pair.step(next_letter(step))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float64])
def test_complex_and_double(dtype: torch.dtype) -> None:
    pair = Pair(lambda: nn.Linear(3, 2, dtype=dtype), plain())
    for _ in range(3):
        inputs = torch.randn(4, 3, dtype=dtype)
        pair.step(partial(absolute, inputs))


def absolute(inputs: Tensor, model: nn.Module) -> Tensor:
    out: Tensor = model(inputs).abs().sum()
    return out


def test_groups_and_a_schedule_of_each() -> None:
    pair = Pair(Tied, two_groups)
    schedules = [
        OneCycleLR(optimizer, max_lr=[0.1, 0.2], total_steps=STEPS + 1)
        for optimizer in (pair.ours, pair.theirs)
    ]
    for step in range(STEPS):
        pair.step(next_letter(step))
        for schedule in schedules:
            schedule.step()  # warns, which is an error here, if step() seems not to be called
    assert schedules[0].get_last_lr() == schedules[1].get_last_lr() != [0.1, 0.2]


def test_a_checkpoint_in_the_middle() -> None:
    pair = Pair(Tied, two_groups)
    for step in range(4):
        pair.step(next_letter(step))
    saved = copy.deepcopy((pair.released.state_dict(), pair.ours.state_dict()))
    pair.released = Tied()
    pair.released.load_state_dict(saved[0])
    pair.ours = two_groups(pair.released)
    pair.ours.param_groups[0]["lr"] = 7.0  # the checkpoint's is what counts
    release_gradients(pair.released, pair.ours)
    pair.ours.load_state_dict(saved[1])  # after the release: groups and state are new objects
    for step in range(4, STEPS):
        pair.step(next_letter(step))


def test_a_checkpoint_is_loaded_into_a_release_that_has_run() -> None:
    pair = Pair(Tied, two_groups)
    begun = copy.deepcopy((pair.usual.state_dict(), pair.theirs.state_dict()))
    for step in range(2):
        pair.step(next_letter(step))
    for model, optimizer in ((pair.released, pair.ours), (pair.usual, pair.theirs)):
        model.load_state_dict(begun[0])
        optimizer.load_state_dict(begun[1])
    for step in range(3):
        pair.step(next_letter(step))
    assert pair.ours.state[pair.released.get_parameter("hidden.bias")]["step"] == 3


def test_an_iteration_needs_the_memory_of_one_gradient() -> None:
    deep = partial(nn.Sequential, *(nn.Linear(64, 64) for _ in range(10)))
    pair = Pair(deep, plain())
    inputs = torch.randn(1, 64)
    most = []
    for _ in range(2):
        for model, optimizer in ((pair.released, pair.ours), (pair.usual, pair.theirs)):
            with torch.profiler.profile(profile_memory=True) as profile:
                torch.autograd.backward(model(inputs).sum())
                optimizer.step()
                optimizer.zero_grad()
            assert profile.profiler is not None
            events = profile.profiler.kineto_results.events()
            changes = [event.nbytes() for event in events if event.name() == "[memory]"]
            most.append(max(accumulate(changes)))  # of bytes of tensors, beside the first ones
    one = 4 * 64 * 65
    released, usual = most[2:]  # the first iterations made the state
    assert usual > 10 * one
    assert released < 3 * one


def test_each_gradient_is_gone_before_the_next_one_is_there() -> None:
    pair = Pair(Tied, plain())
    alive: list[weakref.ref[Tensor]] = []
    most = []

    def count(grad: Tensor) -> None:
        most.append(sum(each() is not None for each in alive))
        alive.append(weakref.ref(grad))

    for param in pair.released.parameters():
        param.register_hook(count)
    next_letter(0)(pair.released).backward()
    assert len(most) == 5
    # torch's own buffers may hold the one whose hook has just run, but no older one
    assert max(most) <= 1
    assert all(each() is None for each in alive)


def test_the_closure_is_called_once_and_its_loss_returned() -> None:
    pair = Pair(mlp, plain())
    calls = []

    def closure(step: int, model: nn.Module, optimizer: AdaBelief) -> Tensor:
        calls.append(model)
        optimizer.zero_grad()
        loss = square(step)(model)
        torch.autograd.backward(loss)
        return loss

    for step in range(3):
        ours = partial(closure, step, pair.released, pair.ours)
        theirs = partial(closure, step, pair.usual, pair.theirs)
        got = pair.ours.step(ours) if step else pair.ours.step(closure=ours)
        assert torch.equal(got, pair.theirs.step(theirs))
        pair.compare()
        assert all(param.grad is None for param in pair.released.parameters())
    assert calls == [pair.released, pair.usual] * 3


def test_hooks_of_step_run_around_it_and_find_no_gradients() -> None:
    pair = Pair(mlp, plain())
    seen: list[str] = []
    pair.ours.register_step_pre_hook(lambda *_: seen.append("before"))
    pair.ours.register_step_post_hook(lambda *_: seen.append("after"))
    with torch.profiler.profile() as profile:
        pair.step(square(0))
    assert seen == ["before", "after"]
    assert "Optimizer.step#AdaBelief.step" in {event.key for event in profile.key_averages()}
    assert all(param.grad is None for param in pair.released.parameters())


def test_what_only_the_optimizer_has_is_stepped_in_step() -> None:
    """A temperature of the loss, say: it is no part of the model."""

    class WithTemperature(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = mlp()
            self.temperature = nn.Parameter(torch.ones(()))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.temperature * self.model(inputs)

    torch.manual_seed(0)
    released = WithTemperature()
    usual = copy.deepcopy(released)
    ours, theirs = (AdaBelief(model.parameters(), lr=0.1) for model in (released, usual))
    release_gradients(released.model, ours)
    for step in range(3):
        square(step)(released).backward()
        assert type(released.temperature.grad) is Tensor
        ours.step()
        ours.zero_grad()
        square(step)(usual).backward()
        theirs.step()
        theirs.zero_grad()
        assert_equal(released.parameters(), ours, usual.parameters(), theirs)


def test_what_only_the_model_has_keeps_its_gradient() -> None:
    torch.manual_seed(0)
    model = mlp()
    optimizer = AdaBelief(model[0].parameters())
    release_gradients(model, optimizer)
    square(0)(model).backward()
    truth = weight(model, 2).grad
    assert type(truth) is Tensor
    optimizer.step()
    assert weight(model, 2).grad is truth
    assert weight(model, 0).grad is None


def test_what_the_optimizer_no_longer_has_keeps_its_gradient() -> None:
    model = mlp()
    optimizer = AdaBelief([{"params": model[0].parameters()}, {"params": model[2].parameters()}])
    release_gradients(model, optimizer)
    del optimizer.param_groups[1]
    before = weight(model, 2).detach().clone()
    square(0)(model).backward()
    assert type(weight(model, 2).grad) is Tensor
    assert torch.equal(weight(model, 2), before)


def test_a_gradient_that_another_hook_took_is_not_missed() -> None:
    model = mlp()
    weight(model, 0).register_post_accumulate_grad_hook(lambda param: setattr(param, "grad", None))
    optimizer = AdaBelief(model.parameters())
    release_gradients(model, optimizer)
    square(0)(model).backward()
    assert weight(model, 0).grad is None
    assert weight(model, 0) not in optimizer.state
    assert weight(model, 2) in optimizer.state


def test_a_gradient_that_is_given_after_backward_is_for_step() -> None:
    pair = Pair(mlp, plain())
    square(0)(pair.released).backward()
    square(0)(pair.usual).backward()
    pair.theirs.step()
    for model, optimizer in ((pair.released, pair.ours), (pair.usual, pair.theirs)):
        optimizer.zero_grad()
        weight(model, 0).grad = torch.ones(5, 3)
        optimizer.step()
    pair.compare()
    assert pair.ours.state[weight(pair.released, 0)]["step"] == 2


def test_frozen_parameters_and_those_of_a_later_group_are_released_from_their_second_step() -> None:
    torch.manual_seed(0)
    released = mlp()
    released[0].requires_grad_(False)
    usual = copy.deepcopy(released)
    ours, theirs = (AdaBelief(model[0].parameters(), lr=0.1) for model in (released, usual))
    release_gradients(released, ours)
    kinds = []
    for step in range(5):
        for model, optimizer in ((released, ours), (usual, theirs)):
            if step == 1:
                model[0].requires_grad_(True)
            if step == 2:
                optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.2})
            optimizer.zero_grad()
            square(step)(model).backward()
        kinds.append([type(weight(released, i).grad) for i in (0, 2)])
        for optimizer in (ours, theirs):
            optimizer.step()
        for one, other in zip(released.parameters(), usual.parameters(), strict=True):
            assert torch.equal(one, other)
        released[2].zero_grad()  # nobody else does while the optimizer does not have it
    none = type(None)
    assert kinds == [
        [none, Tensor],
        [Tensor, Tensor],
        [ReleasedGradient, Tensor],
        [ReleasedGradient, ReleasedGradient],
        [ReleasedGradient, ReleasedGradient],
    ]


def test_parameters_of_two_losses_are_stepped_by_each_ones_backward() -> None:
    def two() -> nn.ModuleList:
        return nn.ModuleList([mlp(), mlp()])

    pair = Pair(two, plain())
    for step in range(3):
        for models, optimizer in ((pair.released, pair.ours), (pair.usual, pair.theirs)):
            for model in models.children():
                square(step)(model).backward()
            optimizer.step()
            optimizer.zero_grad()
        pair.compare()


def test_an_adversary_is_frozen_while_the_other_learns() -> None:
    torch.manual_seed(0)
    nets = [nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 1)])]
    nets.append(copy.deepcopy(nets[0]))
    noise = torch.randn(4, 3)
    for released, both in zip((True, False), nets, strict=True):
        maker, judge = both
        optimizers = [AdaBelief(net.parameters(), lr=0.1) for net in both]
        if released:
            for net, optimizer in zip(both, optimizers, strict=True):
                release_gradients(net, optimizer)
        for _ in range(3):
            judge.requires_grad_(False)
            judge(maker(noise)).sum().backward()
            optimizers[0].step()
            judge.requires_grad_(True)
            (judge(maker(noise).detach()) - judge(noise)).square().sum().backward()
            optimizers[1].step()
            for optimizer in optimizers:
                optimizer.zero_grad()
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_sparse_gradients() -> None:
    pair = Pair(lambda: nn.Embedding(6, 2, sparse=True), plain())
    for step in range(3):
        pair.step(partial(absolute, letters(step) % 6))


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputed_activations(reentrant: bool) -> None:
    pair = Pair(mlp, plain())

    def loss(inputs: Tensor, model: nn.Module) -> Tensor:
        first, tanh, last = model.children()
        inside = checkpoint(lambda x: tanh(first(x)), inputs, use_reentrant=reentrant)
        out: Tensor = last(inside).square().sum()
        return out

    for step in range(3):
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(step)).requires_grad_()
        pair.step(partial(loss, inputs))


def test_a_gradient_penalty() -> None:
    pair = Pair(mlp, plain())

    def loss(model: nn.Module, inputs: Tensor) -> Tensor:
        (grad,) = torch.autograd.grad(model(inputs).sum(), inputs, create_graph=True)
        return grad.square().sum()

    for step in range(3):
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(step)).requires_grad_()
        released = loss(pair.released, inputs)
        usual = loss(pair.usual, inputs)
        torch.autograd.backward([released, usual])
        pair.ours.step()
        pair.theirs.step()
        pair.theirs.zero_grad()
        pair.compare()


def test_backward_inside_autocast() -> None:
    pair = Pair(mlp, plain(foreach=False))
    for step in range(3):
        for model, optimizer in ((pair.released, pair.ours), (pair.usual, pair.theirs)):
            with torch.autocast("cpu", torch.bfloat16):
                square(step)(model).backward()
            optimizer.step()
            optimizer.zero_grad()
        pair.compare()


def test_the_model_is_cast_in_mid_training() -> None:
    pair = Pair(mlp, plain())
    for step in range(4):
        pair.step(square(step))
        if step == 1:
            pair.released.double()
            pair.usual.double()


def test_a_compiled_model() -> None:
    pair = Pair(mlp, plain())
    compiled: list[Any] = [
        torch.compile(model, backend="aot_eager", fullgraph=True)
        for model in (pair.released, pair.usual)
    ]
    for step in range(3):
        for model, optimizer in zip(compiled, (pair.ours, pair.theirs), strict=True):
            square(step)(model).backward()
            square(step)(model)  # an evaluation between backward and step()
            optimizer.step()
            optimizer.zero_grad()
        pair.compare()


def test_a_compiled_model_is_released_by_its_wrapper() -> None:
    model = mlp()
    compiled: Any = torch.compile(model, backend="eager")
    optimizer = AdaBelief(model.parameters())
    release_gradients(compiled, optimizer)
    square(0)(compiled).backward()
    assert all(isinstance(param.grad, ReleasedGradient) for param in model.parameters())
    optimizer.step()
    assert optimizer.state[weight(model, 0)]["step"] == 1


def test_another_release_of_the_same_optimizer_for_another_part() -> None:
    pair = Pair(lambda: nn.ModuleList([mlp(), mlp()]), plain())
    pair.handle.remove()
    first, second = pair.released.children()
    release_gradients(first, pair.ours)
    release_gradients(second, pair.ours)
    for step in range(3):
        pair.step(partial(summed, square(step)))


def summed(loss: Callable[[nn.Module], Tensor], parts: nn.Module) -> Tensor:
    return torch.stack([loss(part) for part in parts.children()]).sum()


def test_the_handle_ends_it() -> None:
    pair = Pair(mlp, plain())
    pair.step(square(0))
    square(1)(pair.released).backward()
    pair.handle.remove()  # between backward and step(): the step has been done
    assert all(param.grad is None for param in pair.released.parameters())
    pair.ours.step()
    pair.theirs.zero_grad()
    square(1)(pair.usual).backward()
    pair.theirs.step()
    pair.theirs.zero_grad()
    pair.compare()
    pair.handle.remove()
    for model, optimizer in ((pair.released, pair.ours), (pair.usual, pair.theirs)):
        for _ in range(2):  # gradients accumulate again
            square(2)(model).backward()
        assert all(type(param.grad) is Tensor for param in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
    pair.compare()


def test_the_handle_is_a_context_manager() -> None:
    model = mlp()
    optimizer = AdaBelief(model.parameters())
    with release_gradients(model, optimizer) as handle:
        square(0)(model).backward()
        optimizer.step()
    square(0)(model).backward()
    assert type(weight(model, 0).grad) is Tensor
    with pytest.raises(KeyError), release_gradients(model, optimizer) as second:
        raise KeyError
    assert second is not handle
    release_gradients(model, optimizer)


def test_nothing_outlives_its_last_user() -> None:
    model = mlp()
    optimizer = AdaBelief(model.parameters())
    handle = release_gradients(model, optimizer)
    square(0)(model).backward()
    optimizer.step()
    watched: Sequence[weakref.ref[Any]] = [
        weakref.ref(each) for each in (model, optimizer, handle, *model.parameters())
    ]
    del model, optimizer, handle
    gc.collect()
    assert [each() for each in watched] == [None] * len(watched)


def test_the_release_lives_as_long_as_its_optimizer() -> None:
    model = mlp()
    optimizer = AdaBelief(model.parameters())
    release_gradients(model, optimizer)  # the handle is not kept
    gc.collect()
    square(0)(model).backward()
    assert optimizer.state[weight(model, 0)]["step"] == 1
    optimizer.step()
    del optimizer
    gc.collect()
    square(0)(model).backward()
    assert type(weight(model, 0).grad) is Tensor
    release_gradients(model, AdaBelief(model.parameters()))  # the old one is no hindrance


def test_copies_are_not_released() -> None:
    model = mlp()
    optimizer = AdaBelief(model.parameters())
    release_gradients(model, optimizer)
    square(0)(model).backward()
    for other, others in (
        copy.deepcopy((model, optimizer)),
        pickle.loads(pickle.dumps((model, optimizer))),
    ):
        assert all(param.grad is None for param in other.parameters())
        square(0)(other).backward()
        assert all(type(param.grad) is Tensor for param in other.parameters())
        others.step()
        assert others.state[weight(other, 0)]["step"] == 2
