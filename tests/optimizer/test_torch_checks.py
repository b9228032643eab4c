"""What torch's test suite asks of every optimizer, asked of AdaBelief, and of AdamW beside it.

The checks are those of `test/test_optim.py` (which torch does not ship), written anew over the
database that it does ship. AdamW runs through them too: a check that torch's own optimizer fails
would be a wrong check.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

pytest.importorskip("expecttest")  # torch's own test utilities import it

from torch.testing._internal.common_optimizers import (
    OptimizerErrorEnum,
    OptimizerInfo,
    _get_optim_inputs_including_global_cliquey_kwargs,
)

from torch_database import ADABELIEF, ADAMW

INFOS = {info.name: info for info in (ADABELIEF, ADAMW)}
both = pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)


def every_input(info: OptimizerInfo) -> list[Any]:
    """All options with all flags. Torch leaves foreach out on CPU, where ours has it."""
    device = "cuda" if info is ADABELIEF else "cpu"
    return _get_optim_inputs_including_global_cliquey_kwargs(device, torch.float32, info)


every = pytest.mark.parametrize(
    ("info", "options"),
    [
        pytest.param(info, one.kwargs, id=f"{info.name}, {one.desc}")
        for info in INFOS.values()
        for one in every_input(info)
    ],
)


def leaves(dtype: torch.dtype = torch.float64, seed: int = 0, count: int = 3) -> list[Tensor]:
    """Parameters as autograd makes them, one of them 0-dim, one not contiguous."""
    random = torch.Generator().manual_seed(seed)
    sizes = ((3, 4), (), (5, 2))[:count]
    params = [torch.randn(size, generator=random, dtype=dtype) for size in sizes]
    params[-1] = params[-1].t() if params[-1].ndim == 2 else params[-1]
    return params


def prepared(info: OptimizerInfo, options: dict[str, Any], seed: int = 0, **also: Any) -> Optimizer:
    """An optimizer over leaves; under `differentiable` those do not require gradients."""
    params = leaves(seed=seed)
    for param in params:
        param.requires_grad_(not options.get("differentiable"))
    return info.optim_cls(params, **deepcopy(options), **also)


def params_of(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def steps(optimizer: Optimizer, count: int, seed: int = 1) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for param in params_of(optimizer):
            noise = torch.randn(param.shape, generator=random, dtype=torch.float64)
            param.grad = noise.to(param.device, param.dtype)
        optimizer.step()


def same(first: Optimizer, second: Optimizer, **tolerance: Any) -> None:
    """Equal parameters and state, to the dtype's default tolerance or the given one."""
    for one, other in zip(params_of(first), params_of(second), strict=True):
        torch.testing.assert_close(one, other, **tolerance)
        assert first.state[one].keys() == second.state[other].keys()
        for key, value in first.state[one].items():
            torch.testing.assert_close(value, second.state[other][key], **tolerance)


@pytest.mark.parametrize(
    ("info", "wrong"),
    [
        pytest.param(info, wrong, id=f"{info.name}, {wrong.optimizer_error_input.desc}")
        for info in INFOS.values()
        for wrong in info.optim_error_inputs_func("cpu", torch.float32)
    ],
)
def test_errors(info: OptimizerInfo, wrong: Any) -> None:
    given, raised, text = wrong.optimizer_error_input, wrong.error_type, wrong.error_regex
    params = leaves() if given.params is None else given.params
    if wrong.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR:
        # One of torch's "errors" is a warning, which pytest.raises sees as warnings are errors.
        with pytest.raises(raised, match=text):
            info.optim_cls(params, **given.kwargs)
    else:
        optimizer = info.optim_cls(params, **given.kwargs)
        with pytest.raises(raised, match=text):
            optimizer.step()


@pytest.mark.parametrize("flag", ["foreach", "differentiable"])
@pytest.mark.parametrize(
    ("info", "options"),
    [
        pytest.param(info, one.kwargs, id=f"{info.name}, {one.desc}")
        for info in INFOS.values()
        for one in info.optim_inputs_func("cpu")
    ],
)
def test_flag_matches_forloop(info: OptimizerInfo, options: dict[str, Any], flag: str) -> None:
    """As torch: default tolerances of the dtype; test_parity has derived ones.

    AdamW's differentiable path computes its bias corrections from a float32 count, even for
    float64 parameters: 1e-6 is what that leaves. Ours does not.
    """
    optimizers = [prepared(info, {**options, flag: value}) for value in (True, False)]
    for optimizer in optimizers:
        steps(optimizer, 7)
    rounded = info is ADAMW and flag == "differentiable"
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if rounded else {}
    same(optimizers[0], optimizers[1], **tolerance)


@both
def test_inputs_do_not_contain_what_checks_add_themselves(info: OptimizerInfo) -> None:
    for one in info.optim_inputs_func("cpu"):
        assert not {"foreach", "fused", "differentiable"} & one.kwargs.keys()


@every
def test_step_is_noop_when_params_have_no_grad(
    info: OptimizerInfo, options: dict[str, Any]
) -> None:
    optimizer = prepared(info, options)
    before = deepcopy(params_of(optimizer))
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, params_of(optimizer), strict=True))
    assert not any(optimizer.state.values())


@every
def test_step_is_noop_for_zero_grads(info: OptimizerInfo, options: dict[str, Any]) -> None:
    optimizer = prepared(info, {**options, "weight_decay": 0.0})
    before = deepcopy(params_of(optimizer))
    for param in params_of(optimizer):
        param.grad = torch.zeros_like(param)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, params_of(optimizer), strict=True))


@both
def test_step_is_noop_for_no_params_at_all(info: OptimizerInfo) -> None:
    info.optim_cls([{"params": []}]).step()


@every
def test_non_empty_state(info: OptimizerInfo, options: dict[str, Any]) -> None:
    optimizer = prepared(info, options)
    steps(optimizer, 1)
    assert all(len(optimizer.state[param]) > 1 for param in params_of(optimizer))


@every
def test_optimizer_can_be_printed(info: OptimizerInfo, options: dict[str, Any]) -> None:
    optimizer = prepared(info, options)
    before = repr(optimizer)
    assert before.startswith(f"{info.name} (")
    steps(optimizer, 1)
    assert repr(optimizer) == before


@every
def test_state_dict_round_trip_continues_bit_for_bit(
    info: OptimizerInfo, options: dict[str, Any]
) -> None:
    """test_state_dict_deterministic and test_save_load_equality_with_weights_only."""
    whole, half = prepared(info, options), prepared(info, options)
    steps(whole, 3)
    steps(half, 3)
    steps(whole, 3, seed=2)
    saved = io.BytesIO()
    torch.save(half.state_dict(), saved)
    saved.seek(0)
    resumed = info.optim_cls([p.detach().clone() for p in params_of(half)], **deepcopy(options))
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    steps(resumed, 3, seed=2)
    same(whole, resumed, rtol=0, atol=0)


@every
@pytest.mark.parametrize("copy", [deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
                         ids=["deepcopy", "pickle"])  # fmt: skip
def test_copies_continue_bit_for_bit(
    info: OptimizerInfo, options: dict[str, Any], copy: Callable[[Optimizer], Optimizer]
) -> None:
    optimizer = prepared(info, options)
    steps(optimizer, 3)
    other = copy(optimizer)
    assert {name for name in dir(optimizer) if name[0] != "_"} == {
        name for name in dir(other) if name[0] != "_"
    }
    steps(optimizer, 3, seed=2)
    steps(other, 3, seed=2)
    same(optimizer, other, rtol=0, atol=0)


@every
def test_can_load_older_state_dict(info: OptimizerInfo, options: dict[str, Any]) -> None:
    """Flags that came later than the class are missing in old checkpoints and old pickles."""
    optimizer = prepared(info, options)
    steps(optimizer, 2)
    old = deepcopy(optimizer.state_dict())
    for group in old["param_groups"]:
        for flag in info.not_og_supported_flags:
            group.pop(flag, None)
    optimizer.load_state_dict(old)
    steps(optimizer, 1)


@both
def test_load_nontensor_step(info: OptimizerInfo) -> None:
    whole, half = prepared(info, {}), prepared(info, {})
    steps(whole, 2)
    steps(half, 2)
    saved = deepcopy(half.state_dict())
    for state in saved["state"].values():
        state["step"] = state["step"].item()
    half.load_state_dict(saved)
    steps(whole, 2, seed=2)
    steps(half, 2, seed=2)
    same(whole, half, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("origin", [torch.float64, torch.float32, torch.bfloat16])
@both
def test_state_follows_the_parameters_dtype_when_loaded(
    info: OptimizerInfo, origin: torch.dtype, dtype: torch.dtype
) -> None:
    saver = info.optim_cls(leaves(origin))
    steps(saver, 2)
    loader = info.optim_cls(leaves(dtype))
    loader.load_state_dict(saver.state_dict())
    steps(loader, 1)
    half = dtype in (torch.bfloat16, torch.float16)
    expected = torch.float32 if half and info is ADABELIEF else dtype
    for param in params_of(loader):
        assert loader.state[param]["exp_avg"].dtype == expected
        assert loader.state[param]["step"] == 3


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@both
def test_tensor_lr_of_any_number_of_dimensions(info: OptimizerInfo, shape: tuple[int, ...]) -> None:
    lr = torch.full(shape, 0.01, dtype=torch.float64)
    optimizers = [prepared(info, {"lr": one, "foreach": False}) for one in (lr, 0.01)]
    for optimizer in optimizers:
        steps(optimizer, 5)
    same(*optimizers)
    assert torch.equal(lr, torch.full(shape, 0.01, dtype=torch.float64))


@both
def test_param_groups_have_their_own_lr_and_weight_decay(info: OptimizerInfo) -> None:
    weight, bias, alone = leaves()[0], leaves()[0], leaves()[0]
    groups = [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "lr": 0.5}]
    optimizer = info.optim_cls(groups, lr=0.01, weight_decay=0.0)
    single = info.optim_cls([alone], lr=0.5, weight_decay=0.0)
    steps(optimizer, 1)
    steps(single, 1)
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert not torch.equal(weight, bias)
    random = torch.Generator().manual_seed(1)
    torch.randn((3, 4), generator=random, dtype=torch.float64)  # the first parameter's gradient
    second = leaves()[0]
    second.grad = torch.randn((3, 4), generator=random, dtype=torch.float64)
    info.optim_cls([second], lr=0.5, weight_decay=0.0).step()
    assert torch.equal(bias, second)


@pytest.mark.parametrize("foreach", [False, True])
@both
def test_mixed_dtypes_are_each_updated_as_alone(info: OptimizerInfo, foreach: bool) -> None:
    dtypes = (torch.float64, torch.float32, torch.bfloat16)
    together = [leaves(dtype)[0] for dtype in dtypes]
    optimizer = info.optim_cls(together, foreach=foreach)
    grads = [torch.full_like(param, 0.5) for param in together]
    for param, grad in zip(together, grads, strict=True):
        param.grad = grad
    optimizer.step()
    for param, grad, dtype in zip(together, grads, dtypes, strict=True):
        alone = leaves(dtype)[0]
        alone.grad = grad
        info.optim_cls([alone], foreach=foreach).step()
        assert torch.equal(param, alone)


@pytest.mark.parametrize(
    ("info", "options"),
    [
        pytest.param(info, one.kwargs, id=f"{info.name}, {one.desc}")
        for info in INFOS.values()
        for one in every_input(info)
        if not one.kwargs.get("fused")  # torch's fused kernel refuses complex parameters
    ],
)
@pytest.mark.parametrize("flavour", [torch.complex64, torch.complex128])
def test_complex_parameters_are_pairs_of_reals(
    info: OptimizerInfo, options: dict[str, Any], flavour: torch.dtype
) -> None:
    """test_complex and test_complex_2d."""
    random = torch.Generator().manual_seed(3)
    whole = torch.randn(3, 4, dtype=flavour, generator=random)
    pairs = torch.view_as_real(whole).clone()
    optimizers = [info.optim_cls([p], **deepcopy(options)) for p in (whole, pairs)]
    for _ in range(3):
        whole.grad = torch.randn(3, 4, dtype=flavour, generator=random)
        pairs.grad = torch.view_as_real(whole.grad).clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(whole), pairs)


@pytest.mark.parametrize("default", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("foreach", [False, True])
@both
def test_set_default_dtype_changes_nothing(
    info: OptimizerInfo, foreach: bool, default: torch.dtype
) -> None:
    plain, changed = prepared(info, {"foreach": foreach}), prepared(info, {"foreach": foreach})
    steps(plain, 3)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(default)
        steps(changed, 3)
    finally:
        torch.set_default_dtype(before)
    for one, other in zip(params_of(plain), params_of(changed), strict=True):
        assert torch.equal(one, other)
        # Torch keeps the count in float64 where that is the default; ours is float32 always.
        assert plain.state[one]["step"] == changed.state[other]["step"]


@both
def test_hooks_of_steps_and_state_dicts_run_in_order(info: OptimizerInfo) -> None:
    optimizer = prepared(info, {})
    order: list[str] = []
    state_hooks = [
        optimizer.register_state_dict_pre_hook(lambda *_: order.append("save")),
        optimizer.register_state_dict_post_hook(lambda *_: order.append("saved")),
        optimizer.register_load_state_dict_pre_hook(lambda *_: order.append("load")),
        optimizer.register_load_state_dict_post_hook(lambda *_: order.append("loaded")),
        optimizer.register_load_state_dict_post_hook(
            lambda *_: order.append("loaded first"), prepend=True
        ),
    ]
    step_hooks = [
        optimizer.register_step_pre_hook(lambda *_: order.append("step")),
        optimizer.register_step_post_hook(lambda *_: order.append("stepped")),
    ]
    optimizer.load_state_dict(optimizer.state_dict())
    steps(optimizer, 1)
    expected = ["save", "saved", "load", "loaded first", "loaded", "step", "stepped"]
    assert order == expected
    for hook in (*state_hooks, *step_hooks):
        hook.remove()
    optimizer.load_state_dict(optimizer.state_dict())
    steps(optimizer, 1)
    assert order == expected


@both
def test_load_hooks_may_replace_the_state_dict(info: OptimizerInfo) -> None:
    optimizer = prepared(info, {})
    saved = optimizer.state_dict()

    def faster(_: Optimizer, incoming: dict[str, Any]) -> dict[str, Any]:
        replaced = deepcopy(incoming)
        replaced["param_groups"][0]["lr"] = 7.0
        return replaced

    optimizer.register_load_state_dict_pre_hook(faster)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 7.0


@both
def test_global_hooks_run_for_every_optimizer(info: OptimizerInfo) -> None:
    from torch.optim.optimizer import (  # noqa: PLC0415, public only there
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    seen: list[str] = []
    hooks = [
        register_optimizer_step_pre_hook(lambda one, *_: seen.append(f"pre {type(one).__name__}")),
        register_optimizer_step_post_hook(
            lambda one, *_: seen.append(f"post {type(one).__name__}")
        ),
    ]
    try:
        steps(prepared(info, {}), 1)
    finally:
        for hook in hooks:
            hook.remove()
    assert seen == [f"pre {info.name}", f"post {info.name}"]


@both
def test_the_profiler_names_the_step(info: OptimizerInfo) -> None:
    optimizer = prepared(info, {})
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        steps(optimizer, 2)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts[f"Optimizer.step#{info.name}.step"] == 2


@pytest.mark.parametrize(
    ("info", "schedule"),
    [
        pytest.param(info, schedule, id=f"{info.name}, {number}")
        for info in INFOS.values()
        for number, schedule in enumerate(one for group in info.scheduler_inputs for one in group)
    ],
)
def test_schedulers_of_the_database_drive_the_lr(
    info: OptimizerInfo, schedule: Callable[[Optimizer], Any]
) -> None:
    optimizer = prepared(info, {"lr": 0.5})
    scheduler = schedule(optimizer)
    for _ in range(12):
        steps(optimizer, 1)
        needs_loss = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        scheduler.step(*[1.0] * needs_loss)
    assert optimizer.param_groups[0]["lr"] != 0.5


@both
def test_one_cycle_cycles_beta1(info: OptimizerInfo) -> None:
    optimizer = prepared(info, {"lr": 0.1})
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    betas = []
    for _ in range(9):
        steps(optimizer, 1)
        betas.append(optimizer.param_groups[0]["betas"][0])
        scheduler.step()
    assert (max(betas), min(betas)) == (0.95, 0.85)


@both
def test_optimizer_in_backward(info: OptimizerInfo) -> None:
    """One optimizer a parameter, stepped as soon as its gradient is there."""
    torch.manual_seed(0)
    usual = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    hooked = deepcopy(usual)
    optimizers: dict[Tensor, Optimizer] = {
        param: info.optim_cls([param], lr=0.1) for param in hooked.parameters()
    }

    def step(param: Tensor) -> None:
        optimizers[param].step()
        optimizers[param].zero_grad()

    for param in hooked.parameters():
        param.register_post_accumulate_grad_hook(step)
    optimizer = info.optim_cls(usual.parameters(), lr=0.1)
    batch = torch.randn(5, 3, dtype=torch.float64)
    for _ in range(5):
        optimizer.zero_grad()
        usual(batch).square().sum().backward()
        optimizer.step()
        hooked(batch).square().sum().backward()
    for one, other in zip(usual.parameters(), hooked.parameters(), strict=True):
        assert torch.equal(one, other)
        assert other.grad is None
