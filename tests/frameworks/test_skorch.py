"""skorch: fit, groups by name, clone, pickle, deepcopy, resuming from files, a grid search."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief
from replay import assert_equal, example, replay

pytest.importorskip("skorch")
clone = pytest.importorskip("sklearn.base").clone
load_digits = pytest.importorskip("sklearn.datasets").load_digits
pytestmark = pytest.mark.slow

Net = Any


@pytest.fixture(scope="module")
def skorch_example() -> Any:
    return example("skorch_classifier")


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    images, labels = load_digits(return_X_y=True)
    return images[:500].astype("float32") / 16, labels[:500]


def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(images), labels)


def by_hand(start: nn.Module, digits: tuple[Any, Any], epochs: int) -> AdaBelief:
    named = dict(start.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named.items() if "bias" in name], "weight_decay": 0.0},
        {"params": [p for name, p in named.items() if "bias" not in name]},
    ]
    optimizer = AdaBelief(groups, lr=1e-2, weight_decay=1e-2)
    images, labels = map(torch.tensor, digits)
    pairs = zip(images.chunk(10), labels.chunk(10), strict=True)
    losses: list[Callable[[], Tensor]] = [partial(loss, start, *pair) for pair in pairs]
    replay(start, optimizer, losses * epochs)
    return optimizer


def check(net: Net, start: nn.Module, digits: tuple[Any, Any], epochs: int) -> None:
    optimizer = by_hand(start, digits, epochs)
    assert_equal(net.module_.parameters(), net.optimizer_, start.parameters(), optimizer)


def test_fit_is_the_plain_loop(skorch_example: Any, digits: tuple[Any, Any]) -> None:
    net = skorch_example.classifier()
    start = copy.deepcopy(net.module)
    check(net.fit(*digits), start, digits, 5)


def by_clone(net: Net, _: Path) -> Net:
    """A clone has the settings only; it is fitted from the beginning."""
    return clone(net)


def by_pickle(net: Net, _: Path) -> Net:
    return pickle.loads(pickle.dumps(net))


def by_deepcopy(net: Net, _: Path) -> Net:
    return copy.deepcopy(net)


def by_files(net: Net, folder: Path) -> Net:
    files = {"f_params": folder / "params.pt", "f_optimizer": folder / "optimizer.pt"}
    net.save_params(**files)
    fresh = clone(net).initialize()
    fresh.load_params(**files)
    return fresh


@pytest.mark.parametrize("copied", [by_pickle, by_deepcopy, by_files])
def test_a_copy_of_a_fitted_net_goes_on_as_if_it_were_the_first(
    skorch_example: Any, digits: tuple[Any, Any], copied: Callable[[Net, Path], Net], tmp_path: Path
) -> None:
    net = skorch_example.classifier()
    start = copy.deepcopy(net.module)
    net.fit(*digits)
    other = copied(net, tmp_path)
    assert other.module_ is not net.module_
    check(other.partial_fit(*digits), start, digits, 10)


def test_a_clone_begins_anew_with_the_same_settings(
    skorch_example: Any, digits: tuple[Any, Any]
) -> None:
    net = skorch_example.classifier()
    start = copy.deepcopy(net.module)
    again = clone(net)
    check(again.fit(*digits), start, digits, 5)
    assert not net.initialized_


def test_a_grid_search_gives_the_optimizer_its_options(skorch_example: Any) -> None:
    search = skorch_example.main()
    chosen = search.best_params_["optimizer__eps"]
    optimizer = search.best_estimator_.optimizer_
    assert type(optimizer) is AdaBelief
    assert {group["eps"] for group in optimizer.param_groups} == {chosen}
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]
    assert min(scores) > 0.5  # of ten classes
