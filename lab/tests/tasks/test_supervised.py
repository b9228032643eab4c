"""`Supervised`: batches as a pure function of seed and index, evaluation without a trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief_lab.tasks.supervised import CLASSIFICATION, Supervised

N = 23
Pair = tuple[Tensor, Tensor]


def pair(n: int) -> Pair:
    """Example i is the vector (i, i): a batch shows which examples are in it."""
    numbers = torch.arange(n)
    return numbers.float().repeat_interleave(2).reshape(n, 2), numbers % 3


def linear() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(2, 3)


def task(model: nn.Module | None = None, **changes: Any) -> Supervised:
    arguments: dict[str, Any] = {
        "train": pair(N),
        "valid": pair(7),
        "test": pair(5),
        "batch_size": 4,
        "data_seed": 0,
    }
    return Supervised(model or linear(), **{**arguments, **changes})


def examples(task: Supervised, index: int) -> list[int]:
    return task.batch(index)[0][:, 0].int().tolist()


def test_an_epoch_has_every_example_at_most_once_in_whole_batches() -> None:
    one = task()
    assert one.batches_per_epoch == 5
    for epoch in range(3):
        seen = [i for place in range(5) for i in examples(one, 5 * epoch + place)]
        assert len(seen) == len(set(seen)) == 20


def test_batch_depends_on_seed_and_index_only() -> None:
    forwards, backwards = task(), task(linear())
    torch.manual_seed(7)
    expected = {index: examples(forwards, index) for index in range(12)}
    torch.manual_seed(8)
    assert {index: examples(backwards, index) for index in reversed(range(12))} == expected


def test_epochs_and_seeds_shuffle_differently() -> None:
    one, other = task(), task(data_seed=1)
    epochs = [[examples(one, 5 * epoch + place) for place in range(5)] for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    # Seed 0, epoch 1 must not be seed 1, epoch 0, as a sum of the two would have it.
    assert [examples(other, place) for place in range(5)] not in epochs


def test_targets_go_with_their_inputs() -> None:
    inputs, targets = task().batch(3)
    assert torch.equal(inputs[:, 0].long() % 3, targets)


def test_drawing_batches_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    task().batch(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_augmentation_is_a_function_of_seed_and_index() -> None:
    def noise(inputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(inputs.shape, generator=generator)

    one, again, other = (task(augment=noise, data_seed=seed) for seed in (0, 0, 1))
    drawn = [one.batch(index)[0] for index in range(6)]
    assert torch.equal(again.batch(5)[0], drawn[5])
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[5])  # the same place in the next epoch
    assert not torch.equal(other.batch(0)[0], drawn[0])


def test_augmentation_gets_the_batch() -> None:
    def shift(inputs: Tensor, _: torch.Generator) -> Tensor:
        return inputs + 100

    assert torch.equal(task(augment=shift).batch(2)[0], task().batch(2)[0] + 100)


def test_step_is_one_step_of_the_optimizer_on_that_batch() -> None:
    model, twin = linear(), linear()
    one = task(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e3)  # stale: must not count
    logged = one.step(2, {"model": optimizer})

    inputs, targets = one.batch(2)
    loss = nn.functional.cross_entropy(twin(inputs), targets)
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    assert dict(logged) == {"loss": loss.detach()}
    assert not logged["loss"].requires_grad
    for found, expected in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(found, expected)


class Fixed(nn.Module):
    """Says "class 0" with a certain score, whatever it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(math.log(2.0)))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([self.score, self.score * 0, self.score * 0]).repeat(len(inputs), 1)


@pytest.mark.parametrize(("split", "n", "zeros"), [("valid", 1203, 401), ("test", 5, 2)])
def test_default_metrics_over_the_whole_split(split: Any, n: int, zeros: int) -> None:
    # Class 0 has probability 2/4, the others 1/4; the large split takes more than one pass.
    metrics = task(Fixed(), **{split: pair(n)}).evaluate(split)
    assert set(metrics) == {metric.name for metric in CLASSIFICATION}
    assert metrics["accuracy"] == zeros / n
    expected = (zeros * math.log(2) + (n - zeros) * math.log(4)) / n
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)


def test_own_metrics_and_loss() -> None:
    def error(outputs: Tensor, targets: Tensor) -> Mapping[str, float]:
        return {"error": (outputs - targets).abs().mean().item()}

    x = torch.arange(6.0).reshape(6, 1)
    data = {"train": (x, 2 * x), "valid": (x, 2 * x), "test": (x, 2 * x)}
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    one = task(model, **data, loss=nn.functional.mse_loss, evaluate=error)
    assert one.evaluate("test") == {"error": 2.5}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    batch = one.batch(0)[0]
    assert one.step(0, {"model": optimizer})["loss"] == (batch**2).mean()


def test_evaluation_leaves_no_trace() -> None:
    frozen = nn.BatchNorm1d(2).eval()
    model = nn.Sequential(frozen, nn.BatchNorm1d(2), nn.Dropout(0.5), linear())
    one = task(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    first = one.evaluate("valid")
    assert one.evaluate("valid") == first
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert [module.training for module in model] == [False, True, True, True]
    assert model.training


def test_modes_come_back_when_evaluation_fails() -> None:
    model = linear()
    with pytest.raises(RuntimeError):
        task(model, valid=(torch.zeros(3, 99), torch.zeros(3).long())).evaluate("valid")
    assert model.training


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": 3}, TypeError, "model must be a torch.nn.Module, got int"),
        ({"train": pair(3)[0]}, TypeError, "train must be a pair .* got Tensor"),
        ({"valid": (1, 2)}, TypeError, r"valid must be a pair .* got \(int, int\)"),
        (
            {"train": (torch.zeros(4, 2), torch.zeros(3).long())},
            ValueError,
            r"train needs as many targets as inputs.*\(4, 2\).*\(3,\)",
        ),
        (
            {"test": (torch.zeros(0, 2), torch.zeros(0).long())},
            ValueError,
            "test needs .* at least 1",
        ),
        ({"batch_size": 24}, ValueError, r"batch_size must be in \[1, 23\], got 24"),
        ({"batch_size": 0}, ValueError, r"batch_size must be in \[1, 23\], got 0"),
        ({"batch_size": 4.0}, TypeError, "batch_size must be an int, got float"),
        ({"data_seed": -1}, ValueError, "data_seed must be at least 0, got -1"),
        ({"data_seed": True}, TypeError, "data_seed must be an int, got bool"),
        (
            {"test": (torch.zeros(3, 2), torch.zeros(3))},
            ValueError,
            r"test targets must be class numbers.*got torch.float32 of shape \(3,\): give eval",
        ),
    ],
)
def test_bad_arguments_are_named(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        task(**changes)


def test_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match=r"split must be one of \['test', 'valid'\], got 'train'"):
        task().evaluate("train")  # type: ignore[arg-type]


def trained(steps: int, lr: float = 0.1, **options: Any) -> Supervised:
    one = task(**options)
    optimizer = torch.optim.SGD(one.modules["model"].parameters(), lr=lr)
    for index in range(steps):
        one.step(index, {"model": optimizer})
    return one


def weights(one: Supervised) -> list[Tensor]:
    return [param.detach().clone() for param in one.modules["model"].parameters()]


def test_accumulated_batches_make_the_step_of_their_mean() -> None:
    """Two batches of 4 are one of 8, with the same examples: the epoch's first eight."""
    small, large = trained(2, batch_size=4, accumulate=2), task(batch_size=8)
    optimizer = torch.optim.SGD(large.modules["model"].parameters(), lr=0.1)
    losses = [large.step(index, {"model": optimizer})["loss"] for index in range(2)]
    for one, other in zip(weights(small), weights(large), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    again = task(batch_size=4, accumulate=2)
    optimizer = torch.optim.SGD(again.modules["model"].parameters(), lr=0.1)
    found = [again.step(index, {"model": optimizer})["loss"] for index in range(2)]
    torch.testing.assert_close(torch.stack(found), torch.stack(losses), rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_together() -> None:
    """SGD with lr 1 moves by the gradient: by exactly the norm that is allowed."""
    before = weights(task())
    moved = [
        after - start
        for after, start in zip(weights(trained(1, 1.0, clip_norm=0.01)), before, strict=True)
    ]
    norm = torch.linalg.vector_norm(torch.cat([each.flatten() for each in moved]))
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_the_mean_of_the_weights_is_evaluated_and_restored() -> None:
    steps, decay = 5, 0.6
    path = [weights(trained(n)) for n in range(1, steps + 1)]
    expected = path[0]
    for now in path[1:]:
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, now, strict=True)]
    one = trained(steps, ema=decay)
    for held, plain in zip(weights(one), path[-1], strict=True):
        assert torch.equal(held, plain), "training does not see the mean"
    shadow = linear()
    with torch.no_grad():
        for param, value in zip(shadow.parameters(), expected, strict=True):
            param.copy_(value)
    assert one.evaluate("valid")["loss"] == pytest.approx(task(shadow).evaluate("valid")["loss"])
    fresh = task(ema=decay)
    fresh.load_state_dict(one.state_dict())
    assert fresh.evaluate("test") == one.evaluate("test")
    assert one.modules["model"].training


def test_bfloat16_computes_in_bfloat16_and_keeps_float32() -> None:
    seen: list[torch.dtype] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(outputs.dtype)
        return nn.functional.cross_entropy(outputs, targets)

    one = trained(2, precision="bfloat16", loss=loss)
    assert seen == [torch.bfloat16] * 2
    assert {param.dtype for param in weights(one)} == {torch.float32}
    assert math.isfinite(one.evaluate("valid")["loss"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, 'precision must be "float32" or "bfloat16", got \'float16\''),
        ({"clip_norm": 0.0}, r"clip_norm must be in \(0, inf\), got 0.0"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0"),
    ],
)
def test_training_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**options)
