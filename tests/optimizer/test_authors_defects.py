"""Every weakness of the authors' package, and that it is not ours.

One test for each row of the table of defects observed in adabelief-pytorch 0.2.1 on torch 2.14
(docs/compatibility.md lists them beside these results); the number is the row's.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from importlib.metadata import requires
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo
from torch import Tensor

from adabelief import AdaBelief, reference
from cases import BY_NAME, normal, with_gradient
from oracle import Oracle

EVERY: dict[str, Any] = {  # the flags that the authors keep outside groups and checkpoints
    "decoupled_weight_decay": True, "fixed_decay": True, "rectify": True, "amsgrad": True,
    "weight_decay": 0.01,
}  # fmt: skip


def trained(steps: int = 3, **options: Any) -> tuple[AdaBelief, Tensor]:
    param = with_gradient(4, dtype=torch.float64)
    optimizer = AdaBelief([param], **options)
    walk(optimizer, param, steps)
    return optimizer, param


def walk(optimizer: AdaBelief, param: Tensor, steps: int, seed: int = 1) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        param.grad = normal(*param.shape)(random, param.dtype)
        optimizer.step()


def assert_same_future(one: AdaBelief, other: AdaBelief) -> None:
    first, second = one.param_groups[0]["params"][0], other.param_groups[0]["params"][0]
    walk(one, first, 8, seed=2)
    walk(other, second, 8, seed=2)
    assert torch.equal(first, second)
    assert torch.equal(one.state[first]["exp_avg_var"], other.state[second]["exp_avg_var"])


def test_01_construction_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    trained(**EVERY)
    assert capfd.readouterr() == ("", "")


def test_02_no_dependency_exists_for_a_banner() -> None:
    needed = [line.split(">")[0] for line in requires("adabelief") or [] if "extra" not in line]
    assert sorted(needed) == ["numpy", "torch"]


def test_03_a_deep_copy_steps_as_the_original() -> None:
    optimizer, _ = trained(**EVERY)
    assert_same_future(optimizer, copy.deepcopy(optimizer))


def test_04_a_pickled_optimizer_steps_as_the_original() -> None:
    optimizer, _ = trained(**EVERY)
    assert_same_future(optimizer, pickle.loads(pickle.dumps(optimizer)))
    buffer = io.BytesIO()
    torch.save(optimizer, buffer)
    buffer.seek(0)
    assert_same_future(optimizer, torch.load(buffer, weights_only=False))


def test_05_every_option_is_in_the_checkpoint() -> None:
    optimizer, param = trained(**EVERY)
    plain = AdaBelief([param.detach().clone()])
    plain.load_state_dict(optimizer.state_dict())
    assert {name: plain.param_groups[0][name] for name in EVERY} == EVERY
    assert_same_future(optimizer, plain)


def test_06_checkpoints_of_the_authors_older_versions_are_refused_in_words() -> None:
    """0.0.5 wrote no `buffer` and has rho_inf in its state: 0.2.1 ends in a KeyError."""
    param = torch.ones(2)
    state = {"step": 3, "exp_avg": torch.ones(2), "exp_avg_var": torch.ones(2), "rho_inf": 1999.0}
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1, "amsgrad": False,
             "params": [0]}  # fmt: skip
    with pytest.raises(ValueError, match=r"got one of adabelief-pytorch 0\.0\.5 .* are not read"):
        AdaBelief.from_checkpoint([param], {"state": {0: state}, "param_groups": [group]})


def test_07_the_state_of_adam_is_refused_and_amsgrad_may_come_later() -> None:
    param = with_gradient(2)
    adam = torch.optim.Adam([param])
    adam.step()
    optimizer = AdaBelief([param])
    with pytest.raises(ValueError, match="was not saved by AdaBelief"):
        optimizer.load_state_dict(adam.state_dict())
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.step()
    state = optimizer.state[param]
    assert torch.equal(state["max_exp_avg_var"], state["exp_avg_var"])


def test_08_half_precision_parameters_stay_where_they_are_and_move_once_a_step() -> None:
    param = torch.ones(4, dtype=torch.float16)
    param.grad = torch.full((4,), 0.5, dtype=torch.float16)
    grad, view, address = param.grad, param.view(2, 2), param.data_ptr()
    AdaBelief([param], lr=0.1).step()
    assert param.data_ptr() == address
    assert param.grad is grad
    assert torch.equal(view.flatten(), param)
    assert not torch.equal(param, torch.ones_like(param))


def test_09_resuming_in_float16_keeps_the_state_in_float32() -> None:
    param = torch.ones(4, dtype=torch.float16)
    optimizer = AdaBelief([param])
    for scale in (1.0, 1.1, 0.9):
        param.grad = torch.full((4,), 1e-4 * scale, dtype=torch.float16)
        optimizer.step()
    resumed = AdaBelief([param])
    resumed.load_state_dict(optimizer.state_dict())
    for name in ("exp_avg", "exp_avg_var"):
        assert resumed.state[param][name].dtype is torch.float32
        assert torch.equal(resumed.state[param][name], optimizer.state[param][name])
    resumed.step()
    assert bool(param.isfinite().all())


def test_10_the_belief_of_bfloat16_parameters_forgets() -> None:
    """β₂ⁿ of the first s is left after n steps without gradient; in bfloat16 all of it would be."""
    param = torch.ones(1, dtype=torch.bfloat16)
    param.grad = torch.ones(1, dtype=torch.bfloat16)
    optimizer = AdaBelief([param], betas=(0.5, 0.99), eps=0.0, lr=0.0)
    optimizer.step()
    state = reference.adabelief(
        reference.initial(np.ones(1)), np.ones(1), betas=(0.5, 0.99), eps=0.0, lr=0.0
    )
    param.grad = torch.zeros(1, dtype=torch.bfloat16)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(300):
            optimizer.step()
            state = reference.adabelief(state, np.zeros(1), betas=(0.5, 0.99), eps=0.0, lr=0.0)
    # 300 steps of at most 6 roundings of float32 each.
    exp_avg_var = optimizer.state[param]["exp_avg_var"].item()
    assert exp_avg_var == pytest.approx(state.exp_avg_var[0], rel=300 * 6 * 2**-24)


def test_11_complex_parameters_are_pairs_of_reals() -> None:
    random = torch.Generator().manual_seed(0)
    whole = normal(3)(random, torch.complex128)
    pairs = torch.view_as_real(whole).clone()
    first, second = AdaBelief([whole]), AdaBelief([pairs])
    for _ in range(10):
        whole.grad = normal(3)(random, torch.complex128)
        pairs.grad = torch.view_as_real(whole.grad).clone()
        first.step()
        second.step()
    assert torch.equal(torch.view_as_real(whole), pairs)
    assert torch.view_as_real(first.state[whole]["exp_avg_var"]).min() >= 0


def test_12_sparse_gradients_are_taken() -> None:
    layer = torch.nn.Embedding(5, 2, sparse=True)
    layer(torch.tensor([1, 1, 3])).sum().backward()
    before = layer.weight.detach().clone()
    AdaBelief(layer.parameters()).step()
    moved = (layer.weight != before).all(dim=1)
    assert moved.tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("name", ["maximize", "capturable", "foreach", "differentiable"])
def test_13_torchs_keywords_are_taken(name: str) -> None:
    param = with_gradient(3).detach()
    param.grad = torch.ones(3)
    options: dict[str, Any] = {name: True}
    AdaBelief([param], **options).step()


@pytest.fixture
def dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:Profiler record function")
@pytest.mark.usefixtures("dynamo")
def test_14_a_compiled_step_is_compiled_once() -> None:
    graphs: list[object] = []

    def backend(graph: Any, inputs: object) -> Any:
        graphs.append(graph)
        return graph

    param = with_gradient(3)
    step = torch.compile(AdaBelief([param]).step, backend=backend, fullgraph=True)
    for _ in range(10):
        step()
    assert len(graphs) == 1


def test_15_many_small_tensors_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed is measured by benchmarks/, not tested; what makes it is."""
    from adabelief.step import multi_tensor  # noqa: PLC0415, only here is a path looked at

    sizes: list[int] = []
    real = multi_tensor.update

    def counted(params: list[Tensor], *rest: Any) -> None:
        sizes.append(len(params))
        real(params, *rest)

    monkeypatch.setattr(multi_tensor, "update", counted)
    params = [with_gradient(10, seed=seed) for seed in range(200)]
    AdaBelief(params, fused=False).step()  # with the kernel not even that
    assert sizes == [200]


def test_16_a_closure_runs_with_gradients_even_under_no_grad() -> None:
    param = torch.ones(2, requires_grad=True)
    optimizer = AdaBelief([param])

    def closure() -> float:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss.item()

    with torch.no_grad():
        assert optimizer.step(closure) == 2.0
    assert optimizer.state[param]["step"] == 1


@pytest.mark.parametrize("foreach", [True, False])
def test_17_coupled_decay_leaves_the_gradient_alone(foreach: bool) -> None:
    param = with_gradient(4)
    assert param.grad is not None
    before = param.grad.clone()
    options = BY_NAME["coupled"].options
    AdaBelief([param], foreach=foreach, **options).step()
    assert torch.equal(param.grad, before)


def test_18_groups_with_other_betas_rectify_on_their_own() -> None:
    random = torch.Generator().manual_seed(0)
    params = [normal(3)(random, torch.float64) for _ in range(2)]
    betas = [(0.9, 0.999), (0.8, 0.9)]
    optimizer = AdaBelief([{"params": [params[0]]}], lr=0.01, rectify=True)
    optimizer.add_param_group({"params": [params[1]], "betas": betas[1]})
    oracles = [Oracle([param]) for param in params]
    for _ in range(30):
        for param in params:
            param.grad = normal(3)(random, torch.float64)
        optimizer.step()
        for oracle, param, pair in zip(oracles, params, betas, strict=True):
            assert param.grad is not None
            options = {"lr": 0.01, "betas": pair, "rectify": True}
            oracle.expect([param.grad], [param], [optimizer.state[param]], options)


def test_19_amsgrad_acts_under_rectification() -> None:
    params = [torch.ones(1, dtype=torch.float64) for _ in range(2)]
    optimizers = [
        AdaBelief([param], rectify=True, amsgrad=amsgrad, betas=(0.9, 0.9))
        for param, amsgrad in zip(params, (True, False), strict=True)
    ]
    for t in range(20):
        for param, optimizer in zip(params, optimizers, strict=True):
            param.grad = torch.full((1,), 100.0 if t < 3 else 1.0, dtype=torch.float64)
            optimizer.step()
    assert not torch.equal(params[0], params[1])


def test_20_a_negative_weight_decay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_decay must be in \[0, inf\), got -0.1"):
        AdaBelief([torch.ones(1)], weight_decay=-0.1)


def test_21_a_nan_gradient_hits_its_own_element_only_and_a_step_can_be_skipped() -> None:
    """The documented recipe: look at the norm, which clipping returns anyway."""
    param = torch.ones(3, requires_grad=True)
    optimizer = AdaBelief([param])
    param.grad = torch.tensor([1.0, float("nan"), 1.0])
    before = param.detach().clone()
    norm = torch.nn.utils.clip_grad_norm_([param], max_norm=1e9)
    if norm.isfinite():
        optimizer.step()
    assert torch.equal(param, before)
    assert param not in optimizer.state
    param.grad = torch.tensor([1.0, float("nan"), 1.0])
    optimizer.step()
    assert param.isfinite().tolist() == [True, False, True]
    assert optimizer.state[param]["exp_avg_var"].isfinite().tolist() == [True, False, True]


def test_22_beta1_of_zero_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"the belief \(g - m\)² would be 0 for ever"):
        AdaBelief([torch.ones(1)], betas=(0.0, 0.999))


def test_23_what_the_authors_package_does_well_is_kept() -> None:
    """Tensor lr, 0-dim, zero-size, strided, huge gradients, schedulers, GradScaler, hooks."""
    params = [torch.tensor(1.0), torch.ones(0), torch.ones(4, 6)[:, ::2], torch.ones(2)]
    for param in params:
        param.grad = torch.full_like(param, 1e18)
    lr = torch.tensor(0.1)
    optimizer = AdaBelief([(f"p{i}", param) for i, param in enumerate(params)], lr=lr)
    calls: list[str] = []
    optimizer.register_step_post_hook(lambda *_: calls.append("step"))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(torch.ones(1))
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    assert calls == ["step"]
    assert all(bool(param.isfinite().all()) for param in params)
    assert params[0] != 1.0


def test_24_rare_gradients_make_no_large_steps() -> None:
    """One gradient in 100 steps: each zero in between still adds m² to s."""
    param = torch.zeros(1, dtype=torch.float64)
    optimizer = AdaBelief([param], lr=1.0)
    steps = []
    for t in range(1000):
        before = param.clone()
        param.grad = torch.full((1,), float(t % 100 == 0), dtype=torch.float64)
        optimizer.step()
        steps.append((param - before).abs().item())
    assert max(steps) == steps[0] == pytest.approx(1 / 0.9, rel=1e-6), "the first is the largest"


def test_25_nothing_deprecated_is_used() -> None:
    """Warnings are errors in this suite; a step of everything raises none."""
    param = with_gradient(3)
    optimizer = AdaBelief([param], **BY_NAME["all at once"].options)
    optimizer.step()
    copy.deepcopy(optimizer).load_state_dict(optimizer.state_dict())


def test_26_a_switch_is_a_bool_and_not_a_word() -> None:
    with pytest.raises(
        TypeError, match="decoupled_weight_decay must be True or False, got 'False'"
    ):
        AdaBelief([torch.ones(1)], decoupled_weight_decay="False")  # type: ignore[arg-type]
