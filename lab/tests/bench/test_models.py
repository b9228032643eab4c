"""The shapes that are benchmarked are those of the networks they are named after."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from adabelief_lab.bench.models import MODELS, equal, model


@pytest.mark.parametrize("name", ["resnet34", "densenet121"])
def test_shapes_are_those_of_torchvision(name: str) -> None:
    models: Any = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        network = getattr(models, name)()
    expected = tuple(tuple(param.shape) for param in network.parameters())
    assert MODELS[name].shapes == expected


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [
        ("16m", 1, 16_777_216),
        ("resnet34", 110, 21_797_672),
        ("densenet121", 364, 7_978_856),
        ("gpt2", 148, 124_439_808),  # what every GPT-2 small has, its head tied
        ("364x1024", 364, 364 * 1024),
        ("1000x64", 1000, 64_000),
    ],
)
def test_counts(name: str, tensors: int, parameters: int) -> None:
    found = model(name)
    assert (found.name, found.tensors, found.parameters) == (name, tensors, parameters)


def test_gpt2_has_the_right_tensors() -> None:
    shapes = MODELS["gpt2"].shapes
    assert shapes[:2] == ((50_257, 768), (1_024, 768))
    layer = shapes[2:14]
    assert layer == (
        (768,), (768,), (768, 2304), (2304,), (768, 768), (768,),
        (768,), (768,), (768, 3072), (3072,), (3072, 768), (768,),
    )  # fmt: skip
    assert shapes == (*shapes[:2], *layer * 12, (768,), (768,))


def test_any_number_of_equal_tensors_is_a_shape() -> None:
    assert model("3x7") == equal(3, 7)
    assert model("3x7").shapes == ((7,), (7,), (7,))


@pytest.mark.parametrize("name", ["resnet43", "0x5", "5x0", "x5", "3x7x1", "-1x4", ""])
def test_an_unknown_shape_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="unknown shape") as refused:
        model(name)
    said = str(refused.value)
    assert repr(name) in said
    for known in MODELS:
        assert known in said
    assert "256x4096" in said
    if name == "resnet43":
        assert "did you mean resnet34" in said
