"""The optimizers: equal search for everybody, names and import paths with their errors."""

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
from adabelief_lab.common.errors import LabError
from adabelief_lab.common.make_optimizer import load_class, make_optimizer
from adabelief_lab.declare.search_space import LogRange
from adabelief_lab.optimizers import GROUPS, OPTIMIZERS, Search, expand, resolve
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.optimizers.implementations.eadam import EAdam
from adabelief_lab.optimizers.implementations.lars import LARS
from adabelief_lab.optimizers.implementations.lookahead import Lookahead
from adabelief_lab.optimizers.spaces import LR_DECADES

CLASSES = {
    "adabelief": AdaBelief,
    "eadam": EAdam,
    "adam": torch.optim.Adam,
    "sgd-nesterov": torch.optim.SGD,
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


def test_everybody_is_declared_under_their_own_name() -> None:
    assert all(name == spec.name for name, spec in OPTIMIZERS.items())
    assert len({spec.label for spec in OPTIMIZERS.values()}) == len(OPTIMIZERS)
    assert all(spec.source for spec in OPTIMIZERS.values())


@pytest.mark.parametrize("name", [*OPTIMIZERS, "torch.optim:NAdam", "lookahead+lars+sgd"])
def test_everybody_searches_lr_alone_over_as_many_decades(name: str) -> None:
    (spec,) = resolve([name])
    assert [set(point) for point in spec.plan(4)] == [{"lr"}] * 4
    searched = spec.space["lr"]
    assert isinstance(searched, LogRange)
    assert math.log10(searched.high / searched.low) == pytest.approx(LR_DECADES)
    tried = [point["lr"] for point in spec.plan(4)]
    assert tried == searched.points(4)


def test_shared_knobs_are_as_wide_for_everybody() -> None:
    """As many decades of decay for all; AdaBelief's eps is under a root: twice Adam's."""
    decades: dict[str, set[int]] = {}
    for spec in OPTIMIZERS.values():
        for name, searched in spec.space.items():
            assert isinstance(searched, LogRange)
            wide = round(math.log10(searched.high / searched.low))
            inside = spec.name.startswith(("adabelief", "eadam", "acprop")) and name == "eps"
            decades.setdefault(name + " inside" * inside, set()).add(wide)
    assert decades == {
        "lr": {3},
        "weight_decay": {3},
        "eps": {8},
        "eps inside": {16},
        "final_lr": {2},
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_searching_the_space_gives_everybody_as_many_trials(name: str) -> None:
    spec = OPTIMIZERS[name]
    points = spec.plan(7, "space")
    assert len(points) == 7
    assert all(set(point) == set(spec.space) for point in points)
    assert spec.plan(9, "space")[:7] == points or len(spec.space) == 1
    for knob, searched in spec.space.items():
        assert isinstance(searched, LogRange)
        assert all(searched.low <= float(point[knob]) <= searched.high for point in points)


def test_optimizers_try_the_same_values_of_shared_knobs() -> None:
    for one, other in (("adabelief", "eadam"), ("adabelief", "adamw"), ("adam", "nadam")):
        for knob in ("lr", "weight_decay"):
            tried = [[p[knob] for p in OPTIMIZERS[n].plan(16, "space")] for n in (one, other)]
            assert tried[0] == tried[1]


def test_the_paper_s_grids_have_the_sizes_that_it_prints() -> None:
    """Zhuang et al. 2020, section 3: SGD and Fromage 5, Adam and its like 25, AdamW 100."""
    sizes = {name: len(OPTIMIZERS[name].plan(3, "paper")) for name in GROUPS["paper"]}
    assert sizes == {
        "adabelief-l2": 1,
        "sgd": 5,
        "fromage": 5,
        **dict.fromkeys(("adabound", "yogi", "adam", "msvag", "radam"), 25),
        "adamw": 100,
    }
    first, *_, last = OPTIMIZERS["adamw"].plan(3, "paper")
    assert first == {"beta1": 0.5, "lr": 10.0, "weight_decay": 1e-4}
    assert last == {"beta1": 0.9, "lr": 0.001, "weight_decay": 1e-2}
    assert OPTIMIZERS["adamw"].arguments(first)["betas"] == [0.5, 0.999]


def test_the_paper_s_decay_is_5e_4_and_coupled_for_all_but_adamw() -> None:
    """Section 3; M-SVAG and Fromage have no decay (papers.py says so)."""
    for name in {*GROUPS["paper"], "adabelief"} - {"adamw", "msvag", "fromage"}:
        arguments = OPTIMIZERS[name].arguments(OPTIMIZERS[name].plan(1, "paper")[0])
        assert arguments["weight_decay"] == 5e-4, name
        assert not arguments.get("decoupled_weight_decay", False)
    belief = OPTIMIZERS["adabelief"]
    assert belief.arguments(belief.plan(1, "paper")[0])["eps"] == 1e-8


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_grid_gives_everybody_as_many_trials(name: str) -> None:
    """lr × eps, else lr × weight_decay, else lr alone with as many points."""
    spec = OPTIMIZERS[name]
    points = spec.plan(9, "grid")
    assert len({tuple(point.items()) for point in points}) == len(points) == 9
    beside = "eps" if "eps" in spec.space else "weight_decay"
    knobs = ("lr", beside) if beside in spec.space else ("lr",)
    for knob in knobs:
        searched = spec.space[knob]
        assert isinstance(searched, LogRange)
        tried = list(dict.fromkeys(point[knob] for point in points))
        assert tried == searched.points(3 if len(knobs) == 2 else 9)
    assert all(tuple(point) == knobs for point in points)


def test_a_grid_of_eps_tries_the_same_floors_of_adam_and_adabelief() -> None:
    """At β2 = 0.999 Adam's ε is AdaBelief's 1e-3 ε² (docs/algorithm.md)."""
    adam, belief = (OPTIMIZERS[name].plan(25, "grid") for name in ("adam", "adabelief"))
    floors = [1e-3 * float(point["eps"]) ** 2 for point in adam]
    assert [float(point["eps"]) for point in belief] == pytest.approx(floors, rel=1e-3)


def test_an_optimizer_that_the_paper_does_not_have_searches_its_space() -> None:
    assert OPTIMIZERS["padam"].plan(6, "paper") == OPTIMIZERS["padam"].plan(6, "space")


def test_decoupled_decay_is_the_same_for_all_who_have_it() -> None:
    decayed = ("adabelief", "adabelief-eps1e-8", "eadam", "acprop", "adamw")
    assert {OPTIMIZERS[name].defaults["weight_decay"] for name in decayed} == {0.01}


def test_eadam_and_adabelief_differ_by_the_belief_only() -> None:
    eadam, belief = OPTIMIZERS["eadam"], OPTIMIZERS["adabelief-eps1e-8"]
    assert eadam.defaults == belief.defaults
    assert eadam.space == OPTIMIZERS["adabelief"].space


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("search", ["lr", "space", "grid", "paper"])
def test_every_point_can_be_made(name: str, search: Search) -> None:
    spec = OPTIMIZERS[name]
    for point in (spec.plan(4, search)[0], spec.plan(4, search)[-1]):
        arguments = json.loads(json.dumps(spec.arguments(point)))
        group = make_declared_optimizer(spec, params(), arguments).param_groups[0]
        assert group["lr"] == point["lr"]


def test_wrappers_go_around_from_the_right() -> None:
    (spec,) = resolve(["lookahead+lars+sgd"])
    assert (spec.name, spec.label) == ("lookahead+lars+sgd", "Lookahead + LARS + SGD (momentum)")
    optimizer = make_declared_optimizer(spec, params(), {"lr": 0.5})
    assert isinstance(optimizer, Lookahead)
    assert isinstance(optimizer.inner, LARS)
    assert type(optimizer.inner.inner) is torch.optim.SGD
    optimizer.param_groups[0]["lr"] = 0.25
    assert optimizer.inner.inner.param_groups[0]["lr"] == 0.25


def test_groups_are_expanded_in_place_each_name_once() -> None:
    assert expand(["adabelief", "default", "padam", "adam"]) == [*GROUPS["default"], "padam"]
    assert set(expand(["all"])) == set(OPTIMIZERS)
    assert set().union(*GROUPS.values()) == set(OPTIMIZERS)


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(LabError, match=r'pip install "adabelief-lab\[rivals\]"'):
        make_optimizer("pytorch_optimizer:Yogi", params(), {"lr": 0.1})


@pytest.mark.parametrize("name", CLASSES)
def test_declared_optimizers_can_be_made_from_json(name: str) -> None:
    spec = OPTIMIZERS[name]
    (point, *_) = spec.plan(2)
    hyperparameters = json.loads(json.dumps({**spec.defaults, **point}))
    optimizer = make_declared_optimizer(spec, params(), hyperparameters)
    assert type(optimizer) is CLASSES[name]
    group = optimizer.param_groups[0]
    for key, value in hyperparameters.items():
        assert group[key] == (tuple(value) if isinstance(value, list) else value)


def test_resolve_keeps_the_order() -> None:
    assert [spec.name for spec in resolve(["sgd", "adam"])] == ["sgd", "adam"]


def test_a_class_of_one_s_own_is_an_optimizer(module: str) -> None:
    (spec,) = resolve([f"{module}:Lion"])
    assert spec.name == spec.implementation == f"{module}:Lion"
    assert spec.label == "Lion"
    assert spec.defaults == {}
    assert spec.space == {"lr": LogRange(low=1e-4, high=1e-1)}
    assert spec.source == "given on the command line"
    optimizer = make_declared_optimizer(spec, params(), {"lr": 0.25})
    assert type(optimizer).__name__ == "Lion"
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_labels_stay_different(module: str) -> None:
    labels = [spec.label for spec in resolve(["adam", f"{module}:Adam", f"{module}:Lion"])]
    assert labels == ["Adam", f"{module}:Adam", "Lion"]


def test_keyword_arguments_pass_any_name(module: str) -> None:
    assert make_optimizer(f"{module}:Any", params(), {"lr": 0.5}).param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["adabelif"], "unknown optimizer 'adabelif': did you mean adabelief"),
        (["Adam"], "unknown optimizer 'Adam': did you mean adam"),
        (
            ["zzz"],
            "unknown optimizer 'zzz': choose from adabelief, adabelief-eps1e-8, adabelief-l2",
        ),
        (["sgd", "adam", "sgd"], "given once each, got twice: sgd"),
        ([":Adam"], "an optimizer is given as \"package.module:Class\", got ':Adam'"),
        (["no_such_module:Adam"], "no_such_module:Adam: cannot import no_such_module: No module"),
        (["broken_own:Adam"], "cannot import broken_own: No module named 'no_such_dependency'"),
        (["torch.optim:AdmW"], "module torch.optim has no AdmW; did you mean AdamW"),
        (["users_own:factory"], "must be a class derived from torch.optim.Optimizer, got <func"),
        (["lookahed+sgd"], "lookahed+sgd: unknown wrapper 'lookahed': choose from lookahead, lars"),
        (["lars+sdg"], "unknown optimizer 'sdg': did you mean sgd"),
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
        make_optimizer("torch.optim:SGD", params(), hyperparameters)
    assert message in str(caught.value)


def test_the_optimizer_s_own_complaint_comes_through() -> None:
    with pytest.raises(ValueError, match="Invalid learning rate"):
        make_optimizer("torch.optim:SGD", params(), {"lr": -1.0})


def test_load_gives_the_class() -> None:
    assert load_class("adabelief:AdaBelief") is AdaBelief
