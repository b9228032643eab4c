"""Sparse gradients are lazy: rows with a gradient follow the reference, the others stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from cases import CASES, DTYPES, STEPS, Case, normal
from oracle import Oracle

LAZY = [case for case in CASES if not case.options.get("weight_decay")]


def some_rows(random: torch.Generator, rows: int, shape: list[int], dtype: torch.dtype) -> Tensor:
    """A gradient of a few rows, in any order, some of them twice."""
    touched = torch.randint(rows, (4,), generator=random)
    values = normal(4, *shape)(random, dtype)
    return torch.sparse_coo_tensor(touched[None], values, (rows, *shape), check_invariants=True)


def one_row(row: int, shape: tuple[int, int]) -> Tensor:
    index, values = torch.tensor([[row]]), torch.ones(1, shape[1])
    return torch.sparse_coo_tensor(index, values, shape, check_invariants=True)


def of_row(state: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    return {name: value if name == "step" else value[row] for name, value in state.items()}


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("case", LAZY, ids=lambda case: case.name)
def test_every_touched_row_follows_the_reference_with_the_count_of_all_steps(
    case: Case, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(1)
    param = normal(6, 3)(random, dtype).requires_grad_()
    oracles = [Oracle([row]) for row in param.detach()]
    optimizer = AdaBelief([param], **case.options)
    for t in range(STEPS):
        before = [row.clone() for row in param.detach()]
        param.grad = some_rows(random, 6, [3], dtype)
        # Repeated rows are summed by torch, in the gradient's dtype, as autograd would.
        dense, touched = param.grad.to_dense(), set(param.grad.coalesce().indices()[0].tolist())
        assert 0 < len(touched) < 6
        optimizer.step()
        state = optimizer.state[param]
        for row, oracle in enumerate(oracles):
            now = param.detach()[row]
            if row in touched:
                oracle.state = replace(oracle.state, step=t)
                oracle.expect([dense[row]], [now], [of_row(state, row)], case.options)
            else:
                assert torch.equal(now, before[row])


def test_rows_that_are_not_touched_keep_their_state_bit_for_bit() -> None:
    random = torch.Generator().manual_seed(2)
    param = normal(6, 3)(random, torch.float32).requires_grad_()
    optimizer = AdaBelief([param], amsgrad=True)
    param.grad = normal(6, 3)(random, torch.float32)
    optimizer.step()
    state = {name: value.clone() for name, value in optimizer.state[param].items()}
    param.grad = one_row(2, (6, 3))
    optimizer.step()
    rest = [0, 1, 3, 4, 5]
    for name in ("exp_avg", "exp_avg_var", "max_exp_avg_var"):
        assert torch.equal(optimizer.state[param][name][rest], state[name][rest]), name
        assert not torch.equal(optimizer.state[param]["exp_avg"][2], state["exp_avg"][2])
    assert optimizer.state[param]["step"] == 2


@pytest.mark.parametrize("options", [{}, {"amsgrad": True, "rectify": True, "maximize": True}])
def test_a_gradient_of_all_rows_does_what_a_dense_one_does(options: dict[str, Any]) -> None:
    """Bit for bit, whatever is dense in it: rows, elements, or both."""
    random = torch.Generator().manual_seed(3)
    start = normal(4, 5, 2)(random, torch.float32)
    params = [start.clone().requires_grad_() for _ in range(4)]
    optimizer = AdaBelief(params, foreach=False, **options)
    for _ in range(STEPS):
        grad = normal(4, 5, 2)(random, torch.float32)
        for dense_dims, param in enumerate(params):
            param.grad = grad if dense_dims == 3 else grad.to_sparse(sparse_dim=3 - dense_dims)
        optimizer.step()
    for param in params[:3]:
        assert torch.equal(param, params[3])
        assert torch.equal(
            optimizer.state[param]["exp_avg_var"], optimizer.state[params[3]]["exp_avg_var"]
        )


def test_a_gradient_without_rows_advances_the_count_and_nothing_else() -> None:
    param = torch.ones(3, 2, requires_grad=True)
    param.grad = torch.zeros(3, 2).to_sparse(sparse_dim=1)
    optimizer = AdaBelief([param])
    optimizer.step()
    assert torch.equal(param, torch.ones(3, 2))
    state = optimizer.state[param]
    assert (state["step"], state["exp_avg_var"].abs().sum()) == (1, 0)


@pytest.mark.parametrize("layer", [nn.Embedding, nn.EmbeddingBag])
def test_embeddings_with_sparse_gradients_train_beside_dense_layers(
    layer: type[nn.Embedding] | type[nn.EmbeddingBag],
) -> None:
    """Every row is in every batch, so the sparse model must take the dense one's path."""
    torch.manual_seed(0)
    models = []
    for sparse in (True, False):
        torch.manual_seed(0)
        models.append(nn.Sequential(layer(5, 4, sparse=sparse), nn.Linear(4, 2)))
    batch = torch.arange(5).reshape(5, 1).repeat(1, 2)
    for model in models:
        optimizer = AdaBelief(model.parameters(), lr=0.1, foreach=False)
        for _ in range(STEPS):
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
    for lazy, dense in zip(models[0].parameters(), models[1].parameters(), strict=True):
        # Each row is there twice, and a sum of two numbers has no order: the bits are the same.
        assert torch.equal(lazy, dense)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"weight_decay": 0.1}, "weight_decay=0.1: the decay of rows without a gradient"),
        ({"weight_decay": torch.tensor(0.0)}, "weight_decay=0.0: the decay of rows without"),
        ({"weight_decay": 0.1, "decoupled_weight_decay": False}, "weight_decay=0.1: the decay"),
        ({"capturable": True}, "capturable=True: the number of touched rows"),
        ({"differentiable": True}, "differentiable=True: the rows are updated in place"),
    ],
)
def test_options_that_cannot_be_lazy_refuse_with_the_reason_and_move_nothing(
    options: dict[str, Any], reason: str
) -> None:
    dense, param = torch.ones(2), torch.ones(3, 2)
    dense.grad = torch.ones(2)
    param.grad = one_row(1, (3, 2))
    optimizer = AdaBelief([dense, param], **options)
    with pytest.raises(RuntimeError, match="does not support sparse gradients") as raised:
        optimizer.step()
    assert reason in str(raised.value)
    assert "sparse=False" in str(raised.value)
    assert torch.equal(dense, torch.ones(2))
    assert torch.equal(param, torch.ones(3, 2))


def test_sparse_parameters_are_refused_and_the_optimizer_stays_as_it_was() -> None:
    with pytest.raises(ValueError, match=r"requires dense .* got layout torch\.sparse_coo"):
        AdaBelief([torch.eye(3).to_sparse()])
    optimizer = AdaBelief([torch.ones(1)])
    with pytest.raises(ValueError, match="requires dense"):
        optimizer.add_param_group({"params": [torch.eye(3).to_sparse()]})
    assert len(optimizer.param_groups) == 1


def test_the_gradient_is_read_only() -> None:
    param = torch.ones(3, 2, requires_grad=True)
    indices, values = torch.tensor([[1, 1]]), torch.ones(2, 2)
    param.grad = torch.sparse_coo_tensor(indices, values, (3, 2), check_invariants=True)
    AdaBelief([param], maximize=True).step()
    assert param.grad is not None
    assert not param.grad.is_coalesced()
    assert torch.equal(param.grad._values(), torch.ones(2, 2))
