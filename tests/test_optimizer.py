"""`AdaBelief` as torch.optim.Optimizer: what a training loop may do with it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import BY_NAME, SHAPES, STEPS, as_param, normal
from oracle import Oracle
from torch import Tensor, nn
from torch.optim import lr_scheduler

from adabelief import AdaBelief
from adabelief.update import FOREACH_CPU_BELOW, choose, foreach, loop

all_paths = pytest.mark.parametrize("path", [False, True, None], ids=["loop", "foreach", "chosen"])


def with_gradient(*size: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    param = normal(*size)(random, dtype).requires_grad_()
    param.grad = normal(*size)(random, dtype)
    return param


# --- closures ---------------------------------------------------------------------------------


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
        loss.backward()
        return loss.item()

    with outside():
        assert optimizer.step(closure) == 3.0
        assert torch.is_grad_enabled() == (outside is torch.enable_grad)
    assert calls == [True]
    assert param.grad is not None
    oracle.expect([param.grad], [param], [optimizer.state[param]], {})


def test_without_a_closure_step_returns_none_also_by_keyword() -> None:
    optimizer = AdaBelief([with_gradient(3)])
    assert optimizer.step() is None  # type: ignore[func-returns-value]
    assert optimizer.step(closure=None) is None  # type: ignore[func-returns-value]


# --- parameters and groups --------------------------------------------------------------------


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


# --- learning rates ---------------------------------------------------------------------------

Scheduler = Callable[[torch.optim.Optimizer], Any]
SCHEDULERS: dict[str, Scheduler] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (t + 1)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, total_iters=4),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, total_iters=4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 8),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=STEPS),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.3, 3),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1), lr_scheduler.ExponentialLR(o, 0.8)], [4]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.1, 4), lr_scheduler.ExponentialLR(o, 0.8)]
    ),
}


@pytest.mark.parametrize("tensor_lr", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_torchs_schedulers_set_the_lr_of_the_next_step(name: str, tensor_lr: bool) -> None:
    random = torch.Generator().manual_seed(1)
    param = normal(7)(random, torch.float64).requires_grad_()
    lr: float | Tensor = torch.tensor(0.1, dtype=torch.float64) if tensor_lr else 0.1
    optimizer = AdaBelief([param], lr=lr, weight_decay=0.1)
    oracle, scheduler = Oracle([param]), SCHEDULERS[name](optimizer)
    seen = set()
    for _ in range(STEPS - 1):
        group = optimizer.param_groups[0]
        options = {"lr": float(group["lr"]), "betas": group["betas"], "weight_decay": 0.1}
        seen.add((options["lr"], group["betas"]))
        param.grad = normal(7)(random, torch.float64)
        optimizer.step()
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)
        scheduler.step(*[1.0] * (name == "ReduceLROnPlateau"))
    assert len(seen) > 1, "the schedule did nothing"
    if name in ("OneCycleLR", "CyclicLR"):
        assert len({betas for _, betas in seen}) > 1, "they cycle betas too"


@all_paths
def test_a_tensor_lr_may_be_changed_in_place(path: bool | None) -> None:
    lr = torch.tensor([0.1])
    param = with_gradient(5)
    optimizer, oracle = AdaBelief([param], lr=lr, foreach=path), Oracle([param])
    for step in range(6):
        lr.fill_(0.1 / (step + 1))
        optimizer.step()
        assert param.grad is not None
        options = {"lr": lr.item()}
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)
    assert optimizer.param_groups[0]["lr"] is lr


def test_a_tensor_lr_that_requires_grad_is_read_without_a_warning() -> None:
    param = with_gradient(5)
    optimizer, oracle = AdaBelief([param], lr=torch.tensor(0.5, requires_grad=True)), Oracle([param])
    optimizer.step()
    assert param.grad is not None
    oracle.expect([param.grad], [param], [optimizer.state[param]], {"lr": 0.5})


# --- gradients --------------------------------------------------------------------------------


@all_paths
def test_a_sparse_gradient_is_refused_before_anything_moves(path: bool | None) -> None:
    first, second, third = with_gradient(4), with_gradient(3, 3), with_gradient(2, seed=2)
    optimizer = AdaBelief([{"params": [first]}, {"params": [third, second]}], foreach=path)
    optimizer.step()
    second.grad = torch.eye(3).to_sparse()
    before = [tensor.detach().clone() for tensor in everything(optimizer)]
    with pytest.raises(RuntimeError) as raised:
        optimizer.step()
    assert str(raised.value) == (
        "AdaBelief does not support sparse gradients, got layout torch.sparse_coo; "
        "use sparse=False in the layer that makes them"
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


# --- state ------------------------------------------------------------------------------------


@all_paths
@pytest.mark.parametrize("amsgrad", [False, True])
def test_there_is_no_buffer_for_what_is_off(amsgrad: bool, path: bool | None) -> None:
    param = with_gradient(3)
    options: dict[str, Any] = {**BY_NAME["all at once"].options, "amsgrad": amsgrad}
    optimizer = AdaBelief([param], foreach=path, **options)
    optimizer.step()
    names = {"step", "exp_avg", "exp_avg_var"} | ({"max_exp_avg_var"} if amsgrad else set())
    assert set(optimizer.state[param]) == names


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("name", SHAPES)
def test_state_has_the_shape_and_layout_of_its_parameter(name: str, dtype: torch.dtype) -> None:
    param = SHAPES[name](torch.Generator().manual_seed(0), dtype).requires_grad_()
    param.grad = as_param(param.detach(), param)
    optimizer = AdaBelief([param], amsgrad=True)
    optimizer.step()
    expected = torch.zeros_like(param)  # of views with gaps: without the gaps
    for key in ("exp_avg", "exp_avg_var", "max_exp_avg_var"):
        kept = optimizer.state[param][key]
        assert kept.dtype == (torch.float32 if dtype is torch.bfloat16 else dtype)
        assert kept.shape == param.shape
        assert kept.stride() == expected.stride()
        assert not kept.requires_grad
        assert type(kept) is Tensor
    step = optimizer.state[param]["step"]
    assert (step.shape, step.dtype, step.device.type) == ((), torch.float32, "cpu")


def test_the_count_of_steps_does_not_depend_on_torchs_defaults() -> None:
    """In bfloat16 it would stop at 256: 256 + 1 rounds to 256."""
    param = with_gradient(3)
    optimizer = AdaBelief([param], lr=1e-6)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            for _ in range(300):
                optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        assert optimizer.state[param]["step"].dtype is torch.float32
        optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    assert optimizer.state[param]["step"].item() == 301


@all_paths
def test_amsgrad_may_be_switched_on_and_off_in_the_middle(path: bool | None) -> None:
    """Missing in the authors' package: KeyError (row 7). The maximum starts where s then is."""
    param = with_gradient(5, dtype=torch.float64)
    optimizer, oracle = AdaBelief([param], betas=(0.5, 0.6), foreach=path), Oracle([param])
    random = torch.Generator().manual_seed(3)
    for amsgrad in [False] * 3 + [True] * 4:
        optimizer.param_groups[0]["amsgrad"] = amsgrad
        param.grad = normal(5)(random, torch.float64)
        optimizer.step()
        options = {"betas": (0.5, 0.6), "amsgrad": amsgrad}
        oracle.expect([param.grad], [param], [optimizer.state[param]], options)
    optimizer.param_groups[0]["amsgrad"] = False
    kept = optimizer.state[param]["max_exp_avg_var"].clone()
    optimizer.step()
    assert torch.equal(kept, optimizer.state[param]["max_exp_avg_var"])


# --- the choice of a path -----------------------------------------------------------------------


def test_small_cpu_tensors_go_to_foreach_and_large_ones_to_the_loop() -> None:
    small, large = torch.empty(FOREACH_CPU_BELOW - 1), torch.empty(FOREACH_CPU_BELOW)
    assert choose(small, None) is foreach
    assert choose(nn.Parameter(small), None) is foreach
    assert choose(large, None) is loop
    for tensor, wish in itertools.product((small, large), (True, False)):
        assert choose(tensor, wish) is (foreach if wish else loop)


def test_tensor_subclasses_and_other_devices_go_to_the_loop_unless_told() -> None:
    class Special(Tensor):
        pass

    special = torch.zeros(3).as_subclass(Special)
    assert choose(special, None) is loop
    assert choose(special, True) is foreach
    assert choose(torch.empty(3, device="meta"), None) is loop


@pytest.mark.parametrize(("wish", "called"), [(True, "foreach"), (False, "loop")])
def test_the_optimizer_takes_the_path_it_was_told(
    wish: bool, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for module in (foreach, loop):
        monkeypatch.setattr(module, "update", lambda *_, at=module: calls.append(at.__name__))
    optimizer = AdaBelief([with_gradient(3), with_gradient(FOREACH_CPU_BELOW)], foreach=wish)
    optimizer.step()
    assert calls == [f"adabelief.update.{called}"]


def test_foreach_updates_all_equal_tensors_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    update = foreach.update
    monkeypatch.setattr(foreach, "update", lambda p, *rest: (sizes.append(len(p)), update(p, *rest)))
    params = [with_gradient(3, seed=seed) for seed in range(9)]
    optimizer = AdaBelief([*params, with_gradient(3, dtype=torch.float64)])
    optimizer.step()
    assert sizes == [9, 1]


# --- manners ------------------------------------------------------------------------------------


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
    scaler.scale((param * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert not optimizer.state
    assert scaler.get_scale() == 512.0
    assert torch.equal(param, torch.ones(3))
    optimizer.zero_grad()
    scaler.scale((param * 3).sum()).backward()
    scaler.step(optimizer)
    oracle.expect([torch.full((3,), 3.0)], [param], [optimizer.state[param]], {})


def test_weight_averaging_of_torch_sees_every_update() -> None:
    model = nn.Linear(3, 1)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    optimizer = AdaBelief(model.parameters(), lr=0.1)
    seen = []
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.ones(3)).sum().backward()
        optimizer.step()
        averaged.update_parameters(model)
        seen.append(model.weight.detach().clone())
    assert torch.allclose(averaged.module.weight, torch.stack(seen).mean(0), atol=1e-6)


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
