"""`AdaBelief` as torch.optim.Optimizer: what a training loop may do with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from cases import BY_NAME, with_gradient
from oracle import Oracle

all_paths = pytest.mark.parametrize("path", [False, True, None], ids=["loop", "foreach", "chosen"])


@pytest.mark.parametrize("outside", [torch.no_grad, torch.enable_grad])
def test_a_closure_is_called_once_with_grad_and_its_value_returned(
    outside: Callable[[], Any],
) -> None:
    param = torch.ones(3, requires_grad=True)
    optimizer, oracle = AdaBelief([param]), Oracle([param])
    calls = []

    def closure() -> float:
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (param**2).sum()
        torch.autograd.backward(loss)
        return loss.item()

    with outside():
        assert optimizer.step(closure) == 3.0
        assert torch.is_grad_enabled() == (outside is torch.enable_grad)
    assert calls == [True]
    assert param.grad is not None
    oracle.expect([param.grad], [param], [optimizer.state[param]], {})


def test_without_a_closure_step_returns_none_also_by_keyword() -> None:
    optimizer = AdaBelief([with_gradient(3)])
    assert optimizer.step() is None
    assert optimizer.step(closure=None) is None


def test_no_parameters_and_no_gradients_are_no_work() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        AdaBelief([])
    frozen, none = torch.ones(3), torch.ones(3, requires_grad=True)
    optimizer = AdaBelief([frozen, none])
    optimizer.step()
    assert not optimizer.state
    assert torch.equal(frozen, torch.ones(3))


def test_a_group_added_later_has_its_own_options_and_count() -> None:
    first, second = with_gradient(4), with_gradient(5, seed=1)
    optimizer = AdaBelief([first], lr=0.1, betas=(0.8, 0.9))
    options: list[dict[str, Any]] = [{"lr": 0.1, "betas": (0.8, 0.9)}]
    options.append({"lr": 0.2, "betas": (0.8, 0.9), "amsgrad": True})
    oracles = [Oracle([first]), Oracle([second])]
    for step in range(4):
        if step == 2:
            optimizer.add_param_group({"params": second, "lr": 0.2, "amsgrad": True})
        optimizer.step()
        for k, param in enumerate([first, second][: 1 if step < 2 else 2]):
            assert param.grad is not None
            oracles[k].expect([param.grad], [param], [optimizer.state[param]], options[k])


def test_groups_rectify_each_with_its_own_betas() -> None:
    """The authors' package shares one buffer of step sizes between groups (row 18)."""
    settings = [{"rectify": True, "betas": (0.9, 0.999)}, {"rectify": True, "betas": (0.5, 0.9)}]
    params = [with_gradient(4), with_gradient(4, seed=1)]
    optimizer = AdaBelief([params[0]], **settings[0])  # type: ignore[arg-type]
    optimizer.add_param_group({"params": [params[1]], **settings[1]})
    oracles = [Oracle([param]) for param in params]
    for _ in range(30):
        optimizer.step()
        for oracle, param, options in zip(oracles, params, settings, strict=True):
            assert param.grad is not None
            oracle.expect([param.grad], [param], [optimizer.state[param]], options)


def test_add_param_group_wants_a_dict_and_a_new_parameter() -> None:
    param = with_gradient(3)
    optimizer = AdaBelief([param])
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group([param])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [param]})
    with pytest.warns(UserWarning, match="duplicate parameters"):
        AdaBelief([param, param])
    with pytest.raises(ValueError, match="non-leaf"):
        AdaBelief([param * 2])


def test_named_parameters_keep_their_names() -> None:
    model = nn.Linear(2, 3)
    optimizer = AdaBelief(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["param_names"] == ["weight", "bias"]
    AdaBelief(model.named_parameters()).load_state_dict(saved)


@all_paths
def test_a_sparse_gradient_is_refused_before_anything_moves(path: bool | None) -> None:
    first, second, third = with_gradient(4), with_gradient(3, 3), with_gradient(2, seed=2)
    groups: list[dict[str, Any]] = [
        {"params": [first]},
        {"params": [third, second], "weight_decay": 0.1},
    ]
    optimizer = AdaBelief(groups, foreach=path)
    optimizer.step()
    second.grad = torch.eye(3).to_sparse()
    before = [tensor.detach().clone() for tensor in everything(optimizer)]
    with pytest.raises(RuntimeError) as raised:
        optimizer.step()
    assert str(raised.value) == (
        "AdaBelief does not support sparse gradients with weight_decay=0.1: the decay of rows "
        "without a gradient would be left out; use sparse=False in the layer that makes them"
    )
    for old, new in zip(before, everything(optimizer), strict=True):
        assert torch.equal(old, new)


def everything(optimizer: AdaBelief) -> list[Tensor]:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    return params + [value for param in params for value in optimizer.state[param].values()]


@all_paths
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["plain", "all at once"])
def test_a_bad_gradient_element_hits_no_other(name: str, bad: float, path: bool | None) -> None:
    options = BY_NAME[name].options
    one, two = with_gradient(9), with_gradient(9)
    assert two.grad is not None
    two.grad[4] = bad
    for param in (one, two):
        optimizer = AdaBelief([param], foreach=path, **options)
        for _ in range(3):
            optimizer.step()
    others = torch.arange(9) != 4
    assert torch.equal(one[others], two[others])
    assert bool(two[4].isnan())


@all_paths
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_zero_gradients_and_lr_zero_make_no_nan_and_move_nothing(
    dtype: torch.dtype, path: bool | None
) -> None:
    """Also what torch.distributed.checkpoint does to create the state of a new optimizer."""
    param = with_gradient(5, dtype=dtype)
    before = param.detach().clone()
    optimizer = AdaBelief([param], foreach=path)
    param.grad = torch.zeros_like(param)
    for _ in range(3):
        optimizer.step()
    optimizer = AdaBelief([param], lr=0.0, weight_decay=0.1, amsgrad=True, foreach=path)
    optimizer.step()
    assert torch.equal(before, param)
    assert set(optimizer.state[param]) == {"step", "exp_avg", "exp_avg_var", "max_exp_avg_var"}


@pytest.mark.parametrize("path", [False, True])
def test_coupled_decay_does_not_write_into_the_gradient_of_a_shared_buffer(path: bool) -> None:
    """The authors' package does (row 17); DDP's buckets and logging would see it."""
    param, bucket = torch.ones(4, requires_grad=True), torch.ones(8)
    param.grad = bucket[2:6]
    options: dict[str, Any] = {"weight_decay": 0.5, "decoupled_weight_decay": False}
    optimizer = AdaBelief([param], maximize=True, foreach=path, **options)
    optimizer.step()
    assert torch.equal(bucket, torch.ones(8))


def test_nothing_is_ever_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """The authors' package prints 15 lines, two of which cannot be silenced (row 1)."""
    optimizer = AdaBelief([with_gradient(3)], **BY_NAME["all at once"].options)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step()
    sys.stdout.flush()
    assert capfd.readouterr() == ("", "")


def test_the_repr_shows_every_option() -> None:
    text = repr(AdaBelief([with_gradient(3)], lr=0.25))
    assert text.startswith("AdaBelief (")
    assert "lr: 0.25" in text
    assert "rectify: False" in text


def test_users_hooks_run_around_the_step() -> None:
    param, seen = with_gradient(3), []
    optimizer = AdaBelief([param])
    start = param.detach().clone()
    optimizer.register_step_pre_hook(lambda *_: seen.append(torch.equal(param, start)))
    optimizer.register_step_post_hook(lambda *_: seen.append(torch.equal(param, start)))
    optimizer.step()
    assert seen == [True, False]


def test_gradients_accumulate_into_parameters_after_zero_grad() -> None:
    param = with_gradient(3)
    optimizer = AdaBelief([param])
    optimizer.step()
    optimizer.zero_grad()
    assert param.grad is None
    before = param.detach().clone()
    optimizer.step()
    assert torch.equal(before, param)
    assert optimizer.state[param]["step"].item() == 1


def test_grad_scaler_skips_a_step_with_inf_and_unscales_the_others() -> None:
    param = torch.ones(3, requires_grad=True)
    optimizer, oracle = AdaBelief([param]), Oracle([param])
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    torch.autograd.backward(scaler.scale((param * float("inf")).sum()))
    scaler.step(optimizer)
    scaler.update()
    assert not optimizer.state
    assert scaler.get_scale() == 512.0
    assert torch.equal(param, torch.ones(3))
    optimizer.zero_grad()
    torch.autograd.backward(scaler.scale((param * 3).sum()))
    scaler.step(optimizer)
    oracle.expect([torch.full((3,), 3.0)], [param], [optimizer.state[param]], {})


def test_weight_averaging_of_torch_sees_every_update() -> None:
    model = nn.Linear(3, 1)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    optimizer = AdaBelief(model.parameters(), lr=0.1)
    seen = []
    for _ in range(4):
        optimizer.zero_grad()
        torch.autograd.backward(model(torch.ones(3)).sum())
        optimizer.step()
        averaged.update_parameters(model)
        seen.append(model.weight.detach().clone())
    mean = averaged.state_dict()["module.weight"]
    assert torch.allclose(mean, torch.stack(seen).mean(0), atol=1e-6)


def test_clipping_by_norm_works_with_it() -> None:
    param = torch.ones(3, requires_grad=True)
    optimizer, oracle = AdaBelief([param]), Oracle([param])
    param.grad = torch.full((3,), 100.0)
    nn.utils.clip_grad_norm_([param], 1.0)
    optimizer.step()
    oracle.expect([param.grad], [param], [optimizer.state[param]], {})


def test_half_precision_moves_in_place_so_that_views_see_it() -> None:
    """The authors' package replaces the storage of fp16 parameters at every step (row 8)."""
    flat = torch.ones(6, dtype=torch.float16)
    param = flat[2:5].requires_grad_()
    param.grad = torch.ones(3, dtype=torch.float16)
    optimizer = AdaBelief([param], lr=0.1)
    optimizer.step()
    assert flat[3].item() == param[1].item() != 1
    assert param.grad.dtype is torch.float16
    assert flat[0].item() == flat[5].item() == 1


def test_the_state_of_bfloat16_forgets() -> None:
    """0.999 s rounds back to s in bfloat16: the authors' s stays for ever (row 10)."""
    param = torch.ones(1, dtype=torch.bfloat16, requires_grad=True)
    optimizer, oracle = AdaBelief([param]), Oracle([param])
    for step in range(2000):
        param.grad = torch.full_like(param, 4.0 if step == 0 else 0.0)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], {})
    largest, now = 0.001 * 3.6**2, optimizer.state[param]["exp_avg_var"].item()
    assert now < 0.2 * largest
