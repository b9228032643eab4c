"""The rivals: equal search for everybody, names and import paths with their errors."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from adabelief.lab.errors import LabError
from adabelief.lab.factory import load, make
from adabelief.lab.optimizers.eadam import EAdam
from adabelief.lab.rivals import LR_DECADES, RIVALS, LogRange, resolve

CLASSES = {
    "adabelief": AdaBelief,
    "adabelief-eps1e-8": AdaBelief,
    "eadam": EAdam,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def params() -> list[Tensor]:
    return [torch.zeros(2, requires_grad=True)]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an importable module of a user's own, with optimizers of several shapes."""
    (tmp_path / "users_own.py").write_text(
        "import torch\n"
        "class Lion(torch.optim.SGD):\n"
        "    pass\n"
        "class Adam(torch.optim.Adam):\n"
        "    pass\n"
        "class Any(torch.optim.SGD):\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n"
        "class Needy(torch.optim.SGD):\n"
        "    def __init__(self, params, lr, rho):\n"
        "        super().__init__(params, lr=lr)\n"
        "class Fixed(torch.optim.SGD):\n"
        "    def __init__(self, params):\n"
        "        super().__init__(params, lr=0.1)\n"
        "def factory(params, lr):\n"
        "    pass\n"
    )
    (tmp_path / "broken_own.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("users_own", "broken_own"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "users_own"


@pytest.mark.parametrize(
    ("span", "n", "points"),
    [
        (LogRange(low=1e-4, high=1e-1), 4, [1e-4, 1e-3, 1e-2, 1e-1]),
        (LogRange(low=1e-3, high=1e-1), 1, [1e-2]),
        (LogRange(low=1e-4, high=1e-1), 5, [1e-4, 5.623e-4, 3.162e-3, 1.778e-2, 1e-1]),
    ],
)
def test_points_have_equal_ratios_and_both_ends(
    span: LogRange, n: int, points: list[float]
) -> None:
    assert span.points(n) == points


def test_everybody_is_declared_under_their_own_name() -> None:
    assert {name: rival.name for name, rival in RIVALS.items()} == {name: name for name in CLASSES}
    assert len({rival.label for rival in RIVALS.values()}) == len(RIVALS)
    assert all(rival.source for rival in RIVALS.values())


@pytest.mark.parametrize("name", [*CLASSES, "torch.optim:NAdam"])
def test_everybody_searches_lr_alone_over_as_many_decades(name: str) -> None:
    (rival,) = resolve([name])
    assert set(rival.space) == {"lr"}
    decades = math.log10(rival.space["lr"].high / rival.space["lr"].low)
    assert decades == pytest.approx(LR_DECADES)


def test_decoupled_decay_is_the_same_for_all_who_have_it() -> None:
    decayed = ("adabelief", "adabelief-eps1e-8", "eadam", "adamw")
    assert {RIVALS[name].defaults["weight_decay"] for name in decayed} == {0.01}


def test_eadam_and_adabelief_differ_by_the_belief_only() -> None:
    eadam, belief = RIVALS["eadam"], RIVALS["adabelief-eps1e-8"]
    assert (eadam.defaults, eadam.space) == (belief.defaults, belief.space)


@pytest.mark.parametrize("name", CLASSES)
def test_declared_rivals_can_be_made_from_json(name: str) -> None:
    rival = RIVALS[name]
    (point, *_) = rival.plan(2)
    hyperparameters = json.loads(json.dumps({**rival.defaults, **point}))
    optimizer = make(rival.optimizer, params(), hyperparameters)
    assert type(optimizer) is CLASSES[name]
    group = optimizer.param_groups[0]
    for key, value in hyperparameters.items():
        assert group[key] == (tuple(value) if isinstance(value, list) else value)


def test_resolve_keeps_the_order() -> None:
    assert [rival.name for rival in resolve(["sgd", "adam"])] == ["sgd", "adam"]


def test_a_class_of_one_s_own_is_a_rival(module: str) -> None:
    (rival,) = resolve([f"{module}:Lion"])
    assert rival.name == rival.optimizer == f"{module}:Lion"
    assert rival.label == "Lion"
    assert rival.defaults == {}
    assert rival.space == {"lr": LogRange(low=1e-4, high=1e-1)}
    assert rival.source == "given on the command line"
    optimizer = make(rival.optimizer, params(), {"lr": 0.25})
    assert type(optimizer).__name__ == "Lion"
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_labels_stay_different(module: str) -> None:
    labels = [rival.label for rival in resolve(["adam", f"{module}:Adam", f"{module}:Lion"])]
    assert labels == ["Adam", f"{module}:Adam", "Lion"]


def test_keyword_arguments_pass_any_name(module: str) -> None:
    assert make(f"{module}:Any", params(), {"lr": 0.5}).param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["adabelif"], "unknown optimizer 'adabelif': did you mean adabelief"),
        (["Adam"], "unknown optimizer 'Adam': did you mean adam"),
        (["zzz"], "unknown optimizer 'zzz': choose from adabelief, adabelief-eps1e-8, eadam"),
        (["sgd", "adam", "sgd"], "given once each, got twice: sgd"),
        ([":Adam"], "an optimizer is given as \"package.module:Class\", got ':Adam'"),
        (["no_such_module:Adam"], "no_such_module:Adam: cannot import no_such_module: No module"),
        (["broken_own:Adam"], "cannot import broken_own: No module named 'no_such_dependency'"),
        (["torch.optim:AdmW"], "module torch.optim has no AdmW; did you mean AdamW"),
        (["users_own:factory"], "must be a class derived from torch.optim.Optimizer, got <func"),
        (["torch.nn:Linear"], "torch.nn:Linear: must be a class derived from torch.optim.Opt"),
        (["users_own:Fixed"], "users_own:Fixed: takes no argument lr"),
        (["users_own:Needy"], "users_own:Needy: needs a value for rho"),
    ],
)
@pytest.mark.usefixtures("module")
def test_bad_names_are_told(names: list[str], message: str) -> None:
    with pytest.raises(LabError) as caught:
        resolve(names)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"lr": 0.1, "momentun": 0.9}, "torch.optim:SGD: takes no argument momentun; it takes lr"),
        ({"lr": 0.1, "a": 1, "b": 2}, "torch.optim:SGD: takes no argument a, b; it takes lr"),
    ],
)
def test_arguments_that_a_class_does_not_take(
    hyperparameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(LabError) as caught:
        make("torch.optim:SGD", params(), hyperparameters)
    assert message in str(caught.value)


def test_the_optimizer_s_own_complaint_comes_through() -> None:
    with pytest.raises(ValueError, match="Invalid learning rate"):
        make("torch.optim:SGD", params(), {"lr": -1.0})


def test_load_gives_the_class() -> None:
    assert load("adabelief:AdaBelief") is AdaBelief
