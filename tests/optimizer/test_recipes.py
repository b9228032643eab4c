"""The table of settings: whole, usable, read-only, and equal to what its sources say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adabelief import AdaBelief
from adabelief.recipes import recipes, sources

# The authors' README table, typed a second time: lr, β1, β2, ε, λ, decoupled, rectify.
# None where λ = 0 and the table leaves the kind of decay open.
README: dict[str, tuple[float, float, float, float, float, bool | None, bool]] = {
    "cifar": (1e-3, 0.9, 0.999, 1e-8, 5e-4, False, False),
    "imagenet": (1e-3, 0.9, 0.999, 1e-8, 1e-2, True, False),
    "detection": (1e-4, 0.9, 0.999, 1e-8, 1e-4, False, False),
    "lstm-1layer": (1e-3, 0.9, 0.999, 1e-16, 1.2e-6, False, False),
    "lstm-2layer": (1e-2, 0.9, 0.999, 1e-12, 1.2e-6, False, False),
    "lstm-3layer": (1e-2, 0.9, 0.999, 1e-12, 1.2e-6, False, False),
    "gan-small": (2e-4, 0.5, 0.999, 1e-12, 0.0, None, False),
    "sn-gan": (2e-4, 0.5, 0.999, 1e-16, 0.0, None, True),
    "transformer": (5e-4, 0.9, 0.999, 1e-16, 1e-4, True, True),
    "rainbow": (1e-4, 0.9, 0.999, 1e-10, 0.0, None, True),
    "sac": (1e-3, 0.9, 0.999, 1e-12, 0.0, None, True),
}


def test_every_experiment_has_a_recipe_and_a_source() -> None:
    assert set(recipes) == set(README) == set(sources)


@pytest.mark.parametrize("name", README)
def test_recipe_says_what_the_table_says(name: str) -> None:
    lr, beta1, beta2, eps, weight_decay, decoupled, rectify = README[name]
    recipe = dict(recipes[name])
    if decoupled is None:
        del recipe["decoupled_weight_decay"]
    expected: dict[str, Any] = {
        "lr": lr,
        "betas": (beta1, beta2),
        "eps": eps,
        "weight_decay": weight_decay,
        "rectify": rectify,
    }
    if decoupled is not None:
        expected["decoupled_weight_decay"] = decoupled
    assert recipe == expected


@pytest.mark.parametrize("name", README)
def test_recipe_reaches_the_optimizer(name: str) -> None:
    optimizer = AdaBelief([torch.zeros(2, requires_grad=True)], **recipes[name])
    group = optimizer.param_groups[0]
    assert {key: group[key] for key in recipes[name]} == dict(recipes[name])


@pytest.mark.parametrize("table", [recipes, sources])
def test_unknown_name_lists_the_names(table: Any) -> None:
    with pytest.raises(KeyError, match="no recipe 'cifra'; choose from cifar, imagenet"):
        table["cifra"]
    assert "cifra" not in table
    assert table.get("cifra") is None


def test_nobody_can_change_the_table() -> None:
    with pytest.raises(TypeError):
        recipes["cifar"] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        recipes["cifar"]["lr"] = 1.0  # type: ignore[index]
    with pytest.raises(TypeError):
        sources["cifar"] = ""  # type: ignore[index]


@pytest.mark.parametrize("name", ["lstm-1layer", "lstm-2layer", "lstm-3layer", "sn-gan"])
def test_contradictions_are_told(name: str) -> None:
    assert "Contradiction: " in sources[name]
