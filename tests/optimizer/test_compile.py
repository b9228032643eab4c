"""torch.compile(optimizer.step): one graph, compiled once, equal to the reference."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend

from adabelief import AdaBelief
from cases import BY_NAME, CASES, STEPS, Case, normal
from oracle import Oracle

# Each trace takes a second or more; `make test-all` runs every case.
FEW = ("plain", "coupled", "amsgrad, rectify", "rectify, clip", "all at once")

both_paths = pytest.mark.parametrize("foreach", [False, True])

# What torch itself warns about when it traces any optimizer, and when inductor compiles for CPU.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Profiler record function", "ignore:.*`isinstance.treespec, LeafSpec.`"
)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Counting:
    """A backend that counts the graphs it is given."""

    def __init__(self, backend: str) -> None:
        self.compile, self.graphs = lookup_backend(backend), 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        return self.compile(graph, inputs)


def follow(
    case: Case, foreach: bool, backend: str, dtype: torch.dtype, lr: float | Tensor | None
) -> int:
    """Ten compiled steps, each equal to the reference; lr falls when it is given.

    Returns:
        How many graphs were compiled after the first step.
    """
    random = torch.Generator().manual_seed(0)
    params = [normal(*size)(random, dtype).requires_grad_() for size in ((3, 4), (), (5,))]
    options = dict(case.options)
    if lr is not None:
        options["lr"] = lr
    optimizer = AdaBelief(params, foreach=foreach, **options)
    oracle = Oracle(params, traced=True)
    count = Counting(backend)
    step = torch.compile(optimizer.step, backend=count, fullgraph=True)
    group = optimizer.param_groups[0]
    first = 0
    for _ in range(STEPS):
        for param in params:
            param.grad = normal(*param.shape)(random, dtype)
        step()
        first = first or count.graphs
        exact = {**options, "lr": float(group["lr"])}
        grads = [param.grad for param in params if param.grad is not None]
        oracle.expect(grads, params, [optimizer.state[param] for param in params], exact)
        if isinstance(lr, Tensor):
            group["lr"].mul_(0.5)
        elif lr is not None:
            group["lr"] *= 0.5
    assert group["capturable"] is False, "tracing writes nothing into the options"
    return count.graphs - first


REST = [case for case in CASES if case.name not in FEW]


@both_paths
@pytest.mark.parametrize(
    "case",
    [BY_NAME[name] for name in FEW] + [pytest.param(case, marks=pytest.mark.slow) for case in REST],
    ids=[*FEW, *(case.name for case in REST)],
)
def test_one_graph_follows_the_reference_however_many_steps(case: Case, foreach: bool) -> None:
    graphs = follow(case, foreach, "eager", torch.float64, lr=None)
    assert graphs == 0


@both_paths
def test_a_tensor_lr_that_changes_is_no_reason_to_compile_again(foreach: bool) -> None:
    lr = torch.tensor(0.1, dtype=torch.float64)
    graphs = follow(BY_NAME["decoupled"], foreach, "eager", torch.float64, lr)
    assert graphs == 0


@both_paths
def test_a_float_lr_that_changes_is_compiled_once_more_and_then_never_again(
    foreach: bool,
) -> None:
    """torch takes a float for a constant until it has seen two of them."""
    graphs = follow(BY_NAME["decoupled"], foreach, "eager", torch.float64, 0.1)
    assert graphs == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@both_paths
def test_half_precision_compiles(foreach: bool, dtype: torch.dtype) -> None:
    assert follow(BY_NAME["all at once"], foreach, "eager", dtype, None) == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("name", ["plain", "coupled", "amsgrad, rectify", "all at once"])
@both_paths
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_inductor_follows_the_reference(dtype: torch.dtype, foreach: bool, name: str) -> None:
    lr = torch.tensor(0.1, dtype=torch.float64)
    assert follow(BY_NAME[name], foreach, "inductor", dtype, lr) == 0


def test_a_whole_training_step_compiles_into_one_function() -> None:
    torch.manual_seed(0)
    models = [nn.Linear(3, 2, dtype=torch.float64) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    batch = torch.randn(4, 3, dtype=torch.float64)
    for compiled, model in zip((True, False), models, strict=True):
        optimizer = AdaBelief(model.parameters(), weight_decay=0.1)

        def train(model: nn.Module = model, optimizer: AdaBelief = optimizer) -> None:
            optimizer.zero_grad()
            torch.autograd.backward(model(batch).square().mean())
            optimizer.step()

        run: Any = torch.compile(train, backend="eager") if compiled else train
        for _ in range(STEPS):
            run()
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        # 1e-16 per operation, over some hundred operations on numbers near 1.
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


def test_a_state_from_eager_steps_goes_on_compiled_and_back() -> None:
    random = torch.Generator().manual_seed(1)
    param = normal(4)(random, torch.float64).requires_grad_()
    optimizer, oracle = AdaBelief([param], rectify=True), Oracle([param], traced=True)
    compiled = torch.compile(optimizer.step, backend="eager", fullgraph=True)
    for t in range(STEPS):
        param.grad = normal(4)(random, torch.float64)
        if t % 4 < 2:
            optimizer.step()
        else:
            compiled()
        oracle.expect([param.grad], [param], [optimizer.state[param]], {"rectify": True})


def test_several_groups_with_their_own_options_compile() -> None:
    random = torch.Generator().manual_seed(2)
    params = [normal(4)(random, torch.float64).requires_grad_() for _ in range(2)]
    settings: list[dict[str, Any]] = [{"lr": 0.1, "amsgrad": True}, {"weight_decay": 0.1}]
    optimizer = AdaBelief([{"params": [p], **s} for p, s in zip(params, settings, strict=True)])
    oracles = [Oracle([param], traced=True) for param in params]
    compiled = torch.compile(optimizer.step, backend="eager", fullgraph=True)
    for _ in range(STEPS):
        for param in params:
            param.grad = normal(4)(random, torch.float64)
        compiled()
        for oracle, param, options in zip(oracles, params, settings, strict=True):
            assert param.grad is not None
            oracle.expect([param.grad], [param], [optimizer.state[param]], options)


@both_paths
@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        (torch.float32, {"state_dtype": "bfloat16"}),
        (torch.float32, {"state_dtype": "8bit"}),
        (torch.bfloat16, {"state_dtype": "bfloat16", "master_weights": "split"}),
        (torch.bfloat16, {"state_dtype": "8bit", "master_weights": "stochastic"}),
    ],
)
def test_small_state_compiles_to_the_same_bits(
    foreach: bool, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    """Random bits and roundings are integer arithmetic: traced, they stay what they are."""
    random = torch.Generator().manual_seed(0)
    start = [normal(*size)(random, dtype) for size in ((300,), (3, 4), ())]
    eager, traced = ([value.clone().requires_grad_() for value in start] for _ in range(2))
    # capturable: the scalars of the eager step are then tensors too, rounded alike.
    plain = AdaBelief(eager, foreach=foreach, capturable=True, **options)
    compiled = AdaBelief(traced, foreach=foreach, capturable=True, **options)
    step = torch.compile(compiled.step, backend="aot_eager", fullgraph=True)
    for _ in range(4):
        for one, other in zip(eager, traced, strict=True):
            one.grad = normal(*one.shape)(random, dtype)
            other.grad = one.grad.clone()
        plain.step()
        step()
        for one, other in zip(eager, traced, strict=True):
            assert torch.equal(one, other)
            assert plain.state[one].keys() == compiled.state[other].keys()
            for key, value in plain.state[one].items():
                assert torch.equal(value, compiled.state[other][key]), key
