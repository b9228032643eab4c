"""The examples do what they say: their loops end where a plain loop ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from adabelief_lab.data.fashion_mnist import embedded
from paths import EXAMPLES
from replay import example, replay

NAMES = (
    "accelerate_loop",
    "huggingface_trainer",
    "lightning_module",
    "optimizer_in_backward",
    "plain_loop",
    "skorch_classifier",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors are tiny here: a second thread only waits, for long on a machine that is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


WORKLOADS = ("gan", "hugging_face_workload", "lightning_workload", "own_model")


@pytest.mark.parametrize("name", [*NAMES, *WORKLOADS])
def test_it_reads_like_documentation(name: str) -> None:
    """It has a text that says how to run it, and it is importable without running."""
    text = (EXAMPLES / f"{name}.py").read_text("utf-8")
    tree = ast.parse(text)
    command = f"adabelief compare examples/{name}.py:workload"
    how = command if name in WORKLOADS else f"python examples/{name}.py"
    assert f"Run it with: {how}" in (ast.get_docstring(tree) or "")
    for node in tree.body:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "__name__ == '__main__'"
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), "code that runs when it is imported"


def test_mixed_precision_schedule_and_average_go_together() -> None:
    """Untrained, nine of ten images are wrong."""
    model, average = example("plain_loop").main()
    assert model > 0.75
    assert average > 0.75


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(images), labels)


def test_updating_inside_backward_is_the_plain_loop() -> None:
    data = embedded()
    images = torch.tensor(data.train_images[:2000], dtype=torch.float32).flatten(1) / 255
    labels = torch.tensor(data.train_labels[:2000], dtype=torch.int64)
    batches = list(zip(images.chunk(40), labels.chunk(40), strict=True))
    truth = mlp()
    optimizer = AdaBelief(truth.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    losses = [partial(loss, truth, *batch) for batch in batches]
    replay(truth, optimizer, losses, schedule=schedule)
    model = example("optimizer_in_backward").main()
    for got, expected in zip(model.parameters(), truth.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
        assert got.grad is None
