"""Other libraries' checkpoints go on here as they went on there, or a warning says how not.

The files in vectors/checkpoints were written by the libraries themselves: a state_dict, and their
parameters after each of the next 20 steps. Both they and we are compared with the reference,
started from the numbers in the file, within the bounds of tests/oracle.py.
"""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adabelief import AdaBelief, Hyperparameters, reference
from adabelief.checkpoint import SOURCES, read_checkpoint, translate, warm_start
from adabelief.checkpoint.warm_start import LEAST_VARIANCE, expected_belief
from oracle import DEFAULTS, Oracle, as_array, close
from paths import DOCS, VECTORS

FOLDER = VECTORS / "checkpoints"
GRADS = torch.load(FOLDER / "gradients.pt", weights_only=True)
SHAPES = ((2, 3), (), (2,))
FILES = {path.stem: torch.load(path, weights_only=True) for path in sorted(FOLDER.glob("*==*.pt"))}
NEW, TIMM, KOZISTR = "adabelief-pytorch==0.2.1", "timm==1.0.31", "pytorch_optimizer==4.1.0"

GROUPS = (
    {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-16},
    {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-14},
)
DECAYS = ({"weight_decay": 0.1}, {"weight_decay": 0.3})
LARGE = ({"eps": 1e-3}, {"eps": 1e-2})


@dataclass(frozen=True)
class Row:
    """A recorded case, what is told to us, and what our groups must have then."""

    library: str
    case: str
    told: Mapping[str, Any]
    both: Mapping[str, Any]
    each: Sequence[Mapping[str, Any]]
    warned: Sequence[str]
    apart: float
    source: str | None

    def options(self, group: int) -> dict[str, Any]:
        return {**DEFAULTS, **GROUPS[group], **self.both, **self.each[group]}


def row(
    library: str,
    case: str,
    *warned: str,
    told: Mapping[str, Any] | None = None,
    each: Sequence[Mapping[str, Any]] = ({}, {}),
    apart: float = 0.0,
    source: str | None = None,
    **both: Any,
) -> Row:
    """`apart` is a distance by which the two must differ; 0 if they must not."""
    return Row(library, case, told or {}, both, each, warned, apart, source)


MAXIMIZE = "does not say maximize=False"
COUPLED: Mapping[str, Any] = {"decoupled_weight_decay": False}
UNFIXED = "does not say fixed_decay=False"
IGNORES = "group 0: amsgrad has no effect there while rectify is on, so it is off here"
EARLY = "rectify has not begun to act, and its first steps are not"
OUTER = "its eps beside the root is not multiplied"
AMSGRAD: Sequence[Mapping[str, Any]] = ({"amsgrad": True, "eps": 1e-3}, {})

ROWS = [
    row(NEW, "plain"),
    row(NEW, "plain, eps 1e-3", each=LARGE),
    row(NEW, "decoupled", UNFIXED, told={"decoupled_weight_decay": True}, each=DECAYS),
    row(NEW, "fixed", told={"decoupled_weight_decay": True, "fixed_decay": True},
        each=DECAYS, fixed_decay=True),
    row(NEW, "coupled", told=COUPLED, source=NEW, each=DECAYS, **COUPLED),
    row(NEW, "amsgrad", source=NEW, each=AMSGRAD),
    row(NEW, "rectify", rectify=True),
    row(NEW, "rectify, warming up", rectify=True),
    row(NEW, "rectify, amsgrad", IGNORES, rectify=True),
    row(NEW, "rectify, eps 1e-3", f"group 0: .*{OUTER}", f"group 1: .*{OUTER}", rectify=True,
        each=({"eps": 1e-3},) * 2, apart=1e-5),
    row(NEW, "rectify, no SGD", EARLY, rectify=True, apart=1e-3),
    row(TIMM, "defaults", each=DECAYS, rectify=True),
    row(TIMM, "plain"),
    row(TIMM, "plain, eps 1e-3", each=LARGE),
    row(TIMM, "decoupled", each=DECAYS),
    row(TIMM, "fixed", each=DECAYS, fixed_decay=True),
    row(TIMM, "coupled", each=DECAYS, **COUPLED),
    row(TIMM, "amsgrad", each=AMSGRAD),
    row(TIMM, "rectify", rectify=True),
    row(TIMM, "rectify, warming up", rectify=True),
    row(TIMM, "rectify, amsgrad", IGNORES, rectify=True),
    row(TIMM, "rectify, eps 1e-3", f"group 0: .*{OUTER}", f"group 1: .*{OUTER}", rectify=True,
        each=({"eps": 1e-3},) * 2, apart=1e-5),
    row(TIMM, "rectify, no SGD", EARLY, rectify=True, apart=1e-3),
    row(KOZISTR, "defaults", MAXIMIZE, each=DECAYS),
    row(KOZISTR, "plain", told={"maximize": False}),
    row(KOZISTR, "plain, eps 1e-3", MAXIMIZE, each=LARGE),
    row(KOZISTR, "decoupled", MAXIMIZE, each=DECAYS),
    row(KOZISTR, "fixed", MAXIMIZE, each=DECAYS, fixed_decay=True),
    row(KOZISTR, "coupled", MAXIMIZE, each=DECAYS, **COUPLED),
    row(KOZISTR, "amsgrad", MAXIMIZE, each=AMSGRAD),
    row(KOZISTR, "rectify", MAXIMIZE, rectify=True),
    row(KOZISTR, "rectify, warming up", MAXIMIZE, "degenerated_to_sgd=True, n_sma_threshold=5",
        rectify=True),
    row(KOZISTR, "rectify, amsgrad", MAXIMIZE, rectify=True, each=({"amsgrad": True}, {})),
    row(KOZISTR, "rectify, eps 1e-3", MAXIMIZE, f"group 0: .*{OUTER}", f"group 1: .*{OUTER}",
        rectify=True, each=({"eps": 1e-3},) * 2, apart=1e-5),
    row(KOZISTR, "rectify, no SGD", MAXIMIZE, "degenerated_to_sgd=True, n_sma_threshold=5",
        rectify=True, apart=1e-3),
    row(KOZISTR, "maximize", told={"maximize": True}, each=DECAYS, maximize=True, **COUPLED),
    row(KOZISTR, "late", MAXIMIZE),
    row(KOZISTR, "never yet", MAXIMIZE, "group 1: it counts the steps of a group", apart=1e-3),
    row(KOZISTR, "adam_debias", MAXIMIZE, "with adam_debias its exp_avg is not divided",
        apart=1e-3),
]  # fmt: skip


def split(whole: Tensor) -> list[Tensor]:
    sizes = [math.prod(shape) for shape in SHAPES]
    parts = torch.split(whole, sizes)
    return [part.reshape(shape).clone() for part, shape in zip(parts, SHAPES, strict=True)]


def grouped(params: Sequence[Tensor]) -> list[dict[str, Any]]:
    return [{"params": params[:1]}, {"params": params[1:]}]


def leaves(whole: Tensor) -> list[Tensor]:
    return [param.requires_grad_() for param in split(whole)]


def load(
    params: Any, checkpoint: Any, source: str | None = None, **options: Any
) -> tuple[AdaBelief, list[str]]:
    """The optimizer, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer = AdaBelief.from_checkpoint(params, checkpoint, source=source, **options)
    assert all(issubclass(warning.category, UserWarning) for warning in caught)
    assert all(warning.filename == __file__ for warning in caught)
    return optimizer, [str(warning.message) for warning in caught]


def oracle_of(param: Tensor, saved: Mapping[str, Any], step: int) -> Oracle:
    """The reference, in the state that a file has for one parameter."""
    oracle = Oracle([param])
    if not saved:
        return oracle
    zero = np.zeros(param.numel())
    m, s, top = (
        as_array(saved[key]).ravel() if key in saved else zero
        for key in ("exp_avg", "exp_avg_var", "max_exp_avg_var")
    )
    oracle.state = reference.State(oracle.start, m, s, top, step)
    return oracle


def outer_eps(oracle: Oracle, options: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """How far ε beside the root instead of ε √c moves a rectified step: |αd| ε (1 − √c) / √s."""
    state, (beta1, beta2) = oracle.state, options["betas"]
    root = np.sqrt(state.exp_avg_var)
    correction = math.sqrt(1 - beta2**state.step)
    direction = correction / (1 - beta1**state.step) * np.abs(state.exp_avg) / root
    return options["lr"] * direction * options["eps"] * (1 - correction) / root


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.library}, {row.case}")
def test_training_goes_on_as_it_was_recorded_or_the_warning_says_how_not(row: Row) -> None:
    recorded = FILES[row.library][row.case]
    params = leaves(recorded["start"])
    optimizer, warned = load(grouped(params), recorded, row.source, **row.told)

    assert len(warned) == len(row.warned), warned
    for text, pattern in zip(warned, row.warned, strict=True):
        assert re.search(pattern, text), (pattern, text)
    for number, group in enumerate(optimizer.param_groups):
        options = {key: group[key] for key in DEFAULTS}
        assert options == row.options(number)

    options_of = [row.options(0), row.options(1), row.options(1)]
    saved = recorded["optimizer"]
    oracles, slack = [], [np.zeros(math.prod(shape)) for shape in SHAPES]
    for index, param in enumerate(params):
        state = saved["state"].get(index, {})
        step = state.get("step", saved["param_groups"][index > 0].get("step", 0))
        oracles.append(oracle_of(param, state, step))

    apart = 0.0
    for after, whole in enumerate(recorded["trajectory"]):
        for param, grad in zip(params, split(GRADS[recorded["before"] + after]), strict=True):
            param.grad = grad
        optimizer.step()
        theirs = split(whole)
        for index, (param, oracle) in enumerate(zip(params, oracles, strict=True)):
            assert param.grad is not None
            options = options_of[index]
            oracle.expect([param.grad], [param], [optimizer.state[param]], options)
            apart = max(apart, (param.detach() - theirs[index]).abs().max().item())
            if not row.apart:
                slack[index] += options["rectify"] * outer_eps(oracle, options)
                error = oracle.bound.param + slack[index]
                close([theirs[index]], oracle.state.param, error, f"{row.library} {after}")
    assert apart >= row.apart
    # Equal means equal: the sum of all bounds is still far below any difference that was seen.
    assert row.apart or apart < 1e-12


def test_every_recorded_case_is_in_the_table() -> None:
    recorded = {(library, case) for library, cases in FILES.items() for case in cases}
    assert recorded - {(row.library, row.case) for row in ROWS} == {(KOZISTR, "adanorm")}


@pytest.mark.parametrize(
    ("library", "source"), [(NEW, NEW), (TIMM, "timm"), (KOZISTR, "pytorch_optimizer")]
)
def test_the_source_is_told_from_the_keys(library: str, source: str) -> None:
    for name, recorded in FILES[library].items():
        if name != "adanorm":
            assert translate(recorded["optimizer"]).source == source
            told = translate(recorded["optimizer"], source=source)
            assert told.source == source


@pytest.mark.parametrize("rectify", [True, False])
def test_the_installed_package_of_the_authors_goes_on_here(
    rectify: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = leaves(GRADS[0]), leaves(GRADS[0])
    adabelief_pytorch = pytest.importorskip("adabelief_pytorch")
    original = adabelief_pytorch.AdaBelief(
        theirs, lr=0.01, weight_decay=0.1, rectify=rectify, print_change_log=False
    )
    for grads in GRADS[:6]:
        for param, grad in zip(theirs, split(grads), strict=True):
            param.grad = grad
        original.step()
    capsys.readouterr()  # it talks
    torch.save({"optimizer_state_dict": original.state_dict(), "epoch": 3}, tmp_path / "last.pt")
    with torch.no_grad():
        for one, other in zip(ours, theirs, strict=True):
            one.copy_(other)
    optimizer, warned = load(
        ours, tmp_path / "last.pt", decoupled_weight_decay=True, fixed_decay=False
    )
    assert not warned
    assert optimizer.param_groups[0]["rectify"] is rectify
    oracles = [
        oracle_of(param, original.state[other], 6)
        for param, other in zip(ours, theirs, strict=True)
    ]
    options = {"lr": 0.01, "weight_decay": 0.1, "rectify": rectify}
    for grads in GRADS[6:26]:
        for params, stepped in ((ours, optimizer), (theirs, original)):
            for param, grad in zip(params, split(grads), strict=True):
                param.grad = grad
            stepped.step()
        for param, other, grad, oracle in zip(ours, theirs, split(grads), oracles, strict=True):
            oracle.expect([grad], [param], [optimizer.state[param]], options)
            # ε = 1e-16 beside a root of 1e-2 is below the bound, so no slack for rectify.
            close([other], oracle.state.param, 2 * oracle.bound.param, "theirs")


def recorded(library: str = TIMM, case: str = "decoupled") -> dict[str, Any]:
    """A state_dict, as the library saved it, to do with as one likes."""
    return copy.deepcopy(FILES[library][case]["optimizer"])


def zeros() -> list[dict[str, Any]]:
    return grouped([torch.zeros(shape, dtype=torch.float64).requires_grad_() for shape in SHAPES])


def test_options_given_win_over_the_checkpoint_in_every_group() -> None:
    given: dict[str, Any] = {
        "lr": 0.5, "betas": (0.5, 0.6), "eps": 1e-5, "weight_decay": 0.25,
        "decoupled_weight_decay": False, "amsgrad": True, "rectify": True,
        "bias_correction": False, "clip_update": 3.0, "maximize": True, "foreach": False,
    }  # fmt: skip
    optimizer, _ = load(zeros(), recorded(), **given)
    for group in optimizer.param_groups:
        assert {key: group[key] for key in given} == given
    assert {key: optimizer.defaults[key] for key in given} == given  # for groups added later
    optimizer, _ = load(zeros(), recorded(), fixed_decay=True)
    assert [group["fixed_decay"] for group in optimizer.param_groups] == [True, True]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.3]


def test_options_given_also_win_over_groups_given_and_these_yield_to_the_checkpoint() -> None:
    groups = zeros()
    groups[0]["lr"], groups[1]["eps"] = 7.0, 7.0
    optimizer, _ = load(groups, recorded(), eps=1e-5)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1e-2]
    assert [group["eps"] for group in optimizer.param_groups] == [1e-5, 1e-5]


def test_an_option_given_repairs_a_checkpoint() -> None:
    saved = recorded()
    saved["param_groups"][1]["lr"] = math.nan
    optimizer, _ = load(zeros(), saved, lr=0.25)
    assert optimizer.param_groups[1]["lr"] == 0.25


def test_amsgrad_that_was_ignored_acts_when_it_is_asked_for() -> None:
    saved = recorded(TIMM, "rectify, amsgrad")
    optimizer, warned = load(zeros(), saved, amsgrad=True)
    assert not warned
    first = optimizer.param_groups[0]["params"][0]
    assert torch.equal(
        optimizer.state[first]["max_exp_avg_var"], saved["state"][0]["max_exp_avg_var"]
    )
    optimizer, _ = load(zeros(), saved)
    first = optimizer.param_groups[0]["params"][0]
    assert "max_exp_avg_var" not in optimizer.state[first]
    assert "max_exp_avg_var was left out" in translate(saved).notes


@pytest.mark.parametrize(
    ("case", "named"), [("coupled", "coupled weight decay"), ("amsgrad", "amsgrad")]
)
def test_what_0_1_0_would_mean_is_said_unless_the_version_is(case: str, named: str) -> None:
    options: dict[str, Any] = {"decoupled_weight_decay": case != "coupled", "fixed_decay": False}
    _, warned = load(zeros(), recorded(NEW, case), **options)
    assert len(warned) == 1
    assert f"{named} act otherwise in 0.1.0" in warned[0]
    assert f"pass source='{NEW}' to confirm" in warned[0]
    assert load(zeros(), recorded(NEW, case), NEW, **options)[1] == []
    assert load(zeros(), recorded(NEW, "plain"))[1] == []


def test_the_count_of_steps_becomes_a_float_tensor_of_each_parameter() -> None:
    for library in (TIMM, KOZISTR):
        optimizer, _ = load(zeros(), recorded(library, "plain"))
        for state in optimizer.state.values():
            assert state["step"].dtype is torch.float32
            assert state["step"].shape == ()
            assert state["step"].item() == 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_state_is_converted_to_the_dtype_of_our_computation(dtype: torch.dtype) -> None:
    params = [torch.zeros(shape, dtype=dtype).requires_grad_() for shape in SHAPES]
    optimizer, _ = load(grouped(params), recorded())
    assert {state["exp_avg_var"].dtype for state in optimizer.state.values()} == {torch.float32}


def test_schedules_go_on() -> None:
    optimizer, _ = load(zeros(), {**recorded()})
    assert "initial_lr" not in optimizer.param_groups[0]
    saved = recorded()
    for group, lr in zip(saved["param_groups"], (0.4, 0.8), strict=True):
        group["initial_lr"] = lr
    optimizer, warned = load(zeros(), saved)
    assert not warned
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch, last_epoch=1)
    optimizer.step()
    schedule.step()
    factor = 0.5**schedule.last_epoch
    assert [group["lr"] for group in optimizer.param_groups] == [0.4 * factor, 0.8 * factor]


def test_names_of_parameters_and_of_groups_stay() -> None:
    saved = recorded()
    saved["param_groups"][0] |= {"name": "head", "lr_scale": 0.5, "param_names": ["weight"]}
    optimizer, warned = load(zeros(), saved)
    assert not warned
    group = translate(saved).state_dict["param_groups"][0]
    assert (group["name"], group["lr_scale"], group["param_names"]) == ("head", 0.5, ["weight"])
    assert optimizer.param_groups[0]["name"] == "head"


def test_parameters_of_the_same_names_in_another_order_are_refused() -> None:
    """torch loads by position: the state of one would go to the other if the shapes agree."""
    first, second = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    first.grad = second.grad = torch.ones(2)
    optimizer = AdaBelief([("first", first), ("second", second)])
    optimizer.step()
    saved = optimizer.state_dict()
    with pytest.raises(ValueError, match="order, got 'second' where it has 'first'"):
        load([("second", second), ("first", first)], saved)
    load([("module.first", first), ("module.second", second)], saved)
    load([second, first], saved)


def test_keys_without_meaning_are_left_out_with_a_note_and_unknown_ones_with_a_warning() -> None:
    translation = translate(recorded(NEW, "plain"))
    assert translation.notes == ("buffer was left out",)
    assert "buffer" not in translation.state_dict["param_groups"][0]
    assert set(translate(recorded(TIMM, "plain")).notes) == {
        "degenerated_to_sgd was left out", "foreach was left out",
    }  # fmt: skip
    saved = recorded()
    saved["param_groups"][1]["cautious"] = True
    _, warned = load(zeros(), saved)
    assert len(warned) == 1
    assert "group 1: its group keys cautious are not known and were left out" in warned[0]


@pytest.mark.parametrize(("step", "differs"), [(4, True), (5, False)])
def test_a_warm_up_differs_if_the_next_step_belongs_to_it(step: int, differs: bool) -> None:
    """ρ_t > 5 from t = 6 on, with both β₂ of the file."""
    saved = recorded(NEW, "rectify, no SGD")
    for state in saved["state"].values():
        state["step"] = step
    assert bool(load(zeros(), saved)[1]) is differs


def test_rectify_that_never_acted_is_the_librarys_default_and_said() -> None:
    """Nothing was computed yet, so nothing in the checkpoint tells it."""
    saved = recorded(NEW, "plain")
    saved["state"] = {}
    optimizer, warned = load(zeros(), saved)
    assert optimizer.param_groups[0]["rectify"] is True
    assert "does not say rectify=True" in warned[0]
    assert load(zeros(), saved, rectify=False)[1] == []
    assert not optimizer.state


def test_a_checkpoint_of_ours_is_taken_as_it_is_with_options_on_top() -> None:
    params = leaves(GRADS[0])
    optimizer = AdaBelief(
        grouped(params), amsgrad=True, clip_update=2.0, bias_correction=False, foreach=True
    )
    for param, grad in zip(params, split(GRADS[1]), strict=True):
        param.grad = grad
    optimizer.step()
    saved = optimizer.state_dict()
    saved["param_groups"][0]["anything"] = "kept"
    fresh, warned = load(zeros(), saved, lr=0.5)
    assert not warned
    assert translate(saved).source == "adabelief"
    assert translate(saved).notes == ()
    for group, old in zip(fresh.state_dict()["param_groups"], saved["param_groups"], strict=True):
        assert group == {**old, "lr": 0.5}
    for index, state in fresh.state_dict()["state"].items():
        assert state.keys() == saved["state"][index].keys()
        assert all(torch.equal(value, saved["state"][index][key]) for key, value in state.items())


@pytest.mark.parametrize("name", list(Hyperparameters.__slots__))
def test_an_older_checkpoint_of_ours_gets_the_default_of_an_option_it_lacks(name: str) -> None:
    saved = AdaBelief(zeros()).state_dict()
    for group in saved["param_groups"]:
        del group[name]
    optimizer, _ = load(zeros(), saved, "adabelief")
    assert optimizer.param_groups[1][name] == AdaBelief(zeros()).defaults[name]


def test_complex_parameters_go_on_where_state_is_pairs_and_are_refused_elsewhere() -> None:
    def complexified(saved: dict[str, Any]) -> dict[str, Any]:
        for state in saved["state"].values():
            for key in ("exp_avg", "exp_avg_var"):
                state[key] = torch.complex(state[key], 2 * state[key])
        return saved

    params = [torch.zeros(shape, dtype=torch.complex128).requires_grad_() for shape in SHAPES]
    saved = complexified(recorded(KOZISTR, "plain"))
    optimizer, _ = load(grouped(params), saved)
    for param, grad in zip(params, split(GRADS[0]), strict=True):
        param.grad = torch.complex(grad, grad)
    optimizer.step()
    assert all(bool(param.isfinite().all()) for param in params)
    for library in (NEW, TIMM):
        with pytest.raises(ValueError, match="parameter 0 has a complex exp_avg: that library"):
            load(grouped(params), complexified(recorded(library, "plain")))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_state_is_made_safe_and_said(dtype: torch.dtype) -> None:
    """An s that was rounded to zero makes the next step infinite in the authors' package."""
    saved = recorded(NEW, "plain")
    for state in saved["state"].values():
        state["exp_avg"] = state["exp_avg"].to(dtype)
        state["exp_avg_var"] = state["exp_avg_var"].to(dtype)
    saved["state"][0]["exp_avg_var"][0, :2] = torch.tensor([0.0, 1e-4])
    params = [torch.zeros(shape, dtype=dtype).requires_grad_() for shape in SHAPES]
    optimizer, warned = load(grouped(params), saved)
    assert len(warned) == 1
    assert f"exp_avg_var is {str(dtype)[6:]}" in warned[0]
    s = optimizer.state[params[0]]["exp_avg_var"]
    least = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps / 2
    floor = 1e-16 * sum(0.999**k for k in range(7))
    assert s.dtype is torch.float32
    assert s[0, 0].item() == pytest.approx(max(least, floor), rel=1e-5)
    assert s[0, 1].item() == pytest.approx(1e-4, rel=1e-2)
    assert torch.equal(s[1], saved["state"][0]["exp_avg_var"][1].float())
    for param, grad in zip(params, split(GRADS[0]), strict=True):
        param.grad = grad.to(dtype)
    optimizer.step()
    assert all(bool(param.isfinite().all()) for param in params)


def test_adam_debias_is_not_mentioned_when_the_correction_is_over() -> None:
    saved = recorded(KOZISTR, "adam_debias")
    for group in saved["param_groups"]:
        group["step"] = 300  # 0.9³⁰⁰ is far below the rounding of float32
    assert load(zeros(), saved, maximize=False)[1] == []


def test_adanorm_is_refused() -> None:
    with pytest.raises(ValueError, match="group 0 of the checkpoint has adanorm=True, which"):
        load(zeros(), FILES[KOZISTR]["adanorm"])


# What can be wrong with a checkpoint. Each changes one that is right.


def at(*path: Any, value: Any) -> Any:
    def change(saved: dict[str, Any]) -> dict[str, Any]:
        inside: Any = saved
        for key in path[:-1]:
            inside = inside[key]
        if value is None:
            del inside[path[-1]]
        else:
            inside[path[-1]] = value
        return saved

    return change


def relabelled(saved: dict[str, Any], second: str) -> dict[str, Any]:
    """With other moments, as RAdam's authors save them, also with a buffer."""
    for state in saved["state"].values():
        state[second] = state.pop("exp_avg_var")
    for group in saved["param_groups"]:
        del group["amsgrad"]
    return saved


def of_0_0_5() -> dict[str, Any]:
    """As adabelief-pytorch 0.0.5 and torch_optimizer save."""
    saved = recorded(NEW, "plain")
    for group in saved["param_groups"]:
        del group["buffer"]
    for state in saved["state"].values():
        state["rho_inf"] = 1999.0
    return saved


WRONG = {
    "no state": (at("state", value=None), "one among its values; got other keys in the mapping"),
    "no groups": (at("param_groups", value=None), "or have one among its values; got other keys"),
    "groups of nothing": (at("param_groups", value=[]), "a list of groups as 'param_groups'"),
    "groups no list": (at("param_groups", value=3), "as 'param_groups', got dict .* and int 3"),
    "state no mapping": (at("state", value=[1]), r"a mapping as 'state' .* got list \[1\]"),
    "group no mapping": (at("param_groups", 1, value=5), "'params' of group 1, got int 5"),
    "params missing": (at("param_groups", 0, "params", value=None), "'params' of group 0"),
    "one group twice": (
        at("param_groups", 1, "params", value=[0, 1]), r"every parameter in one group, got \[0,"),
    "tensors as params": (
        at("param_groups", 1, "params", value=[torch.ones(1)]), "numbers or names as 'params'"),
    "state of nobody": (
        at("state", 9, value={"step": 1}), "got state of 9 and 3 parameters"),
    "state no dict": (at("state", 1, value=[]), "a mapping as the state of parameter 1"),
    "no exp_avg_var": (
        at("state", 1, "exp_avg_var", value=None),
        "parameter 1 must have exp_avg and exp_avg_var, got step, exp_avg$"),
    "no tensor": (at("state", 1, "exp_avg", value=1.5), "parameter 1 must have a dense tensor as"),
    "sparse": (
        at("state", 0, "exp_avg", value=torch.ones(2, 3).to_sparse()), "got torch.sparse_coo"),
    "unequal": (
        at("state", 0, "exp_avg_var", value=torch.ones(3, 2)),
        r"moments of one shape, got \(2, 3\) as exp_avg and \(3, 2\) as exp_avg_var"),
    "no step": (at("state", 0, "step", value=None), "must have step in its state, got exp_avg,"),
    "step half": (at("state", 0, "step", value=1.5), "a whole number ≥ 0 as step, got 1.5"),
    "step negative": (at("state", 0, "step", value=-1), "a whole number ≥ 0 as step, got -1"),
    "step NaN": (at("state", 0, "step", value=math.nan), "a whole number ≥ 0 as step, got nan"),
    "step two": (at("state", 0, "step", value=torch.ones(2)), "a whole number ≥ 0 as step"),
    "step a word": (at("state", 0, "step", value="last"), "as step, got 'last'"),
    "no lr": (at("param_groups", 0, "lr", value=None), "group 0 .* must have lr, .* got no lr$"),
    "lr NaN": (
        at("param_groups", 1, "lr", value=math.nan), r"group 1 .*: lr must be in .*, got nan"),
    "eps NaN": (at("param_groups", 0, "eps", value=math.nan), r"eps must be in .*, got nan"),
    "decay negative": (at("param_groups", 0, "weight_decay", value=-1), "weight_decay must be in"),
    "betas one": (at("param_groups", 0, "betas", value=(0.9,)), "betas must be a pair"),
    "beta1 zero": (at("param_groups", 0, "betas", value=(0.0, 0.9)), r"betas\[0\] must be in"),
    "lr a word": (at("param_groups", 0, "lr", value="fast"), "lr must be a number in"),
    "switch a word": (at("param_groups", 0, "amsgrad", value="no"), "amsgrad must be True or"),
    "other shape": (
        at("state", 2, value={k: torch.ones(3) if k != "step" else 7
                              for k in ("step", "exp_avg", "exp_avg_var")}),
        r"exp_avg of parameter 2 must have shape \(2,\), got \(3,\)"),
    "fewer parameters": (
        lambda saved: at("param_groups", 1, "params", value=[1])(at("state", 2, value=None)(saved)),
        r"groups of \[1, 2\] parameters, as given, got \[1, 1\]"),
    "fewer groups": (
        lambda saved: {"state": {0: saved["state"][0]}, "param_groups": saved["param_groups"][:1]},
        r"groups of \[1, 2\] parameters, as given, got \[1\]"),
    "unknown": (
        lambda saved: torch.optim.SGD(zeros(), momentum=0.9).state_dict(),
        "must be of one of adabelief, timm, .*got groups with the keys dampening, .*lr, "),
    "other moments": (
        lambda saved: torch.optim.RAdam(zeros()).state_dict(), "got groups with the keys betas"),
    "buffer of another": (
        lambda saved: relabelled(recorded(NEW, "plain"), "exp_avg_sq"),
        "got groups with the keys betas, buffer, .* and states with exp_avg, exp_avg_sq, step;"),
    "buffer": (
        lambda saved: at("param_groups", 0, "buffer", value=[3])(recorded(NEW, "plain")),
        "group 0 of the checkpoint must have a list of triples as buffer, got "),
    "0.0.5 of the authors": (
        lambda saved: of_0_0_5(), "adabelief-pytorch==0.2.1, adam, got one of adabelief-pytorch "
        r"0\.0\.5 or of torch_optimizer \(rho_inf is in its state\), which are not read"),
    "0.0.5 before its first step": (
        lambda saved: {**of_0_0_5(), "state": {}}, "got groups with the keys amsgrad, betas, eps"),
    "model": (
        lambda saved: nn.Linear(2, 2).state_dict(),
        "got tensors only, as in a model's state_dict in the mapping: 'weight', 'bias'"),
    "empty": (lambda saved: {}, "got other keys in the mapping: nothing at all"),
    "two optimizers": (
        lambda saved: {"generator": saved, "critic": saved, "epoch": 3},
        "got 2 in the mapping: 'generator', 'critic'; pass the one"),
    "two in a list": (
        lambda saved: {"optimizer_states": [saved, saved]},
        r"got 2 in the mapping: 'optimizer_states'\[0\], 'optimizer_states'\[1\]"),
    "no optimizer": (
        lambda saved: {str(key): key for key in range(20)}, "'0', '1', .*, '7', and 12 more"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_checkpoint_says_what_was_expected_and_found_and_changes_nothing(name: str) -> None:
    change, said = WRONG[name]
    saved = change(recorded())
    kept, groups = copy.deepcopy(saved), zeros()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=said):
            AdaBelief.from_checkpoint(groups, saved)
    assert same(saved, kept)
    assert not any(param.any() for group in groups for param in group["params"])


def same(one: Any, other: Any) -> bool:
    """Equality of nested containers, with NaN equal to itself."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one.to_dense(), other.to_dense())
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


@pytest.mark.parametrize("library", FILES)
def test_training_after_loading_leaves_the_checkpoint_alone(library: str) -> None:
    for case in set(FILES[library]) - {"adanorm"}:
        saved = recorded(library, case)
        kept, params = copy.deepcopy(saved), leaves(GRADS[0])
        saved["param_groups"][0]["lr"] = kept["param_groups"][0]["lr"] = torch.tensor(0.1)
        optimizer, _ = load(grouped(params), saved)
        for param, grad in zip(params, split(GRADS[0]), strict=True):
            param.grad = grad
        optimizer.step()
        optimizer.param_groups[0]["lr"].zero_()
        assert same(saved, kept)


def test_options_that_are_wrong_are_the_callers_error() -> None:
    with pytest.raises(TypeError, match="momentum"):
        load(zeros(), recorded(), momentum=0.9)
    with pytest.raises(ValueError, match=r"^lr must be in \[0, inf\), got -1$"):
        load(zeros(), recorded(), lr=-1)
    with pytest.raises(ValueError, match=r"source must be one of adabelief, .*, got 'tim'"):
        load(zeros(), recorded(), "tim")
    with pytest.raises(TypeError, match="checkpoint must be a mapping or a path, got int"):
        load(zeros(), 3)


def test_a_source_that_is_not_the_checkpoints_is_refused() -> None:
    with pytest.raises(ValueError, match="must have exp_avg and exp_avg_sq, got step, exp_avg, "):
        load(zeros(), recorded(), "adam")
    with pytest.raises(ValueError, match=r"must have step in its group, got lr, .*"):
        load(zeros(), recorded(), "pytorch_optimizer")


@pytest.mark.parametrize("key", ["optimizer", "optimizer_state_dict", "optim", "anything"])
def test_the_only_optimizer_in_a_training_checkpoint_is_found(key: str) -> None:
    saved = recorded()
    for whole in ({key: saved, "model": {"weight": torch.ones(2)}, "epoch": 3}, {key: [saved]}):
        assert read_checkpoint(whole) is saved


def test_files_are_read_from_any_kind_of_path(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"epoch": 3, "optimizer": recorded()}, path)
    for given in (path, str(path)):
        optimizer, _ = load(zeros(), given)
        assert len(optimizer.state) == 3


class Thing:
    """Something that a file should not make by being read."""


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[: len(whole) // 2], lambda whole: whole[:100], lambda whole: b"",
     lambda whole: b"no checkpoint at all", lambda whole: whole[:-200] + bytes(200)],
    ids=["half", "beginning", "nothing", "text", "end lost"],
)  # fmt: skip
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "last.pt"
    torch.save(recorded(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"must be a file that torch.load.*got '.*last.pt', which"):
        load(zeros(), path)


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({"optimizer": recorded(), "thing": Thing()}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="can be loaded by you and passed as a mapping"):
        load(zeros(), tmp_path / "last.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"must be a mapping, got list in '.*list.pt'"):
        load(zeros(), tmp_path / "list.pt")
    with pytest.raises(FileNotFoundError):
        load(zeros(), tmp_path / "none.pt")


# The warm start from Adam.


def after_adam(steps: int, **options: Any) -> tuple[torch.optim.Optimizer, list[Tensor]]:
    params = leaves(GRADS[0])
    adam = torch.optim.AdamW(grouped(params), **options)
    for grads in GRADS[:steps]:
        for param, grad in zip(params, split(grads), strict=True):
            param.grad = grad
        adam.step()
    return adam, params


def test_adams_checkpoint_is_refused_until_a_warm_start_is_asked_for() -> None:
    for kind in (torch.optim.Adam, torch.optim.AdamW):
        params = leaves(GRADS[0])
        adam = kind(params)
        for param in params:
            param.grad = torch.ones_like(param)
        adam.step()
        with pytest.raises(ValueError, match="pass source='adam' for a warm start, which keeps"):
            load(params, adam.state_dict())


def test_a_warm_start_keeps_what_is_the_same_and_says_what_is_not() -> None:
    adam, params = after_adam(5, lr=0.02, betas=(0.8, 0.99), eps=1e-4, weight_decay=0.1,
                              amsgrad=True, maximize=True)  # fmt: skip
    saved = adam.state_dict()
    optimizer, warned = load(grouped(params), saved, "adam", eps=1e-12)
    assert len(warned) == 1
    for words in (
        "warm start",
        "kept are step, exp_avg and the options lr, betas, weight_decay, amsgrad and maximize",
        "exp_avg_var is estimated",
        "left out are max_exp_avg_sq and eps, which here is 1e-12",
    ):
        assert words in warned[0]
    for group in optimizer.param_groups:
        expected = {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-12, "weight_decay": 0.1,
                    "decoupled_weight_decay": True, "amsgrad": True, "maximize": True}  # fmt: skip
        assert {key: group[key] for key in expected} == expected
    for index, param in enumerate(params):
        state, old = optimizer.state[param], saved["state"][index]
        assert set(state) == {"step", "exp_avg", "exp_avg_var"}
        assert state["step"].item() == 5
        assert torch.equal(state["exp_avg"], old["exp_avg"])
        s = expected_belief(old["exp_avg"], old["exp_avg_sq"], 5, (0.8, 0.99), 1e-12)
        assert torch.equal(state["exp_avg_var"], s)
    assert load(grouped(params), saved, "adam")[0].param_groups[0]["eps"] == 1e-16
    # v and m are averages with the betas that Adam had, whatever ours are from now on.
    optimizer, _ = load(grouped(params), saved, "adam", betas=(0.9, 0.999), eps=1e-12)
    s = expected_belief(saved["state"][0]["exp_avg"], saved["state"][0]["exp_avg_sq"], 5,
                        (0.8, 0.99), 1e-12)  # fmt: skip
    assert torch.equal(optimizer.state[params[0]]["exp_avg_var"], s)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_adam_of_an_older_torch_must_be_told_from_adamw_if_it_decays() -> None:
    adam, params = after_adam(2, weight_decay=0.1)
    saved = adam.state_dict()
    for group in saved["param_groups"]:
        del group["decoupled_weight_decay"]
    with pytest.raises(ValueError, match=r"weight_decay=0.1 and does not say whether it is AdamW"):
        load(grouped(params), saved, "adam")
    optimizer, _ = load(grouped(params), saved, "adam", decoupled_weight_decay=False)
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is False
    for group in saved["param_groups"]:
        group["weight_decay"] = 0
    load(grouped(params), saved, "adam")


def test_adams_betas_must_be_possible_even_if_others_are_given() -> None:
    adam, params = after_adam(2)
    saved = adam.state_dict()
    saved["param_groups"][1]["betas"] = (0.0, 0.99)
    with pytest.raises(ValueError, match=r"group 1 of the checkpoint .*betas\[0\] must be in"):
        load(grouped(params), saved, "adam", betas=(0.9, 0.99))


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9), (0.95, 0.9), (0.9, 0.81)])
@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 2.0), (1.0, 0.5)])
@pytest.mark.parametrize("steps", [15, 300])
def test_the_estimate_is_the_expectation_of_s_for_independent_gradients(
    betas: tuple[float, float],
    mean: float,
    deviation: float,
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (beta1, beta2), eps, streams = betas, 1e-3, 10_000
    random = torch.Generator().manual_seed(steps)
    m, v, s = torch.zeros(3, streams, dtype=torch.float64)
    for _ in range(steps):
        grad = torch.randn(streams, generator=random, dtype=torch.float64) * deviation + mean
        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        s = beta2 * s + (1 - beta2) * (grad - m) ** 2 + eps
    guarded = expected_belief(m, v, steps, betas, eps)
    monkeypatch.setattr(warm_start, "LEAST_VARIANCE", -math.inf)
    estimate = expected_belief(m, v, steps, betas, eps)
    difference = estimate - s
    # The streams are independent, so the mean difference has this standard error. μ̂² is not let
    # below 0, which moves its mean by κσ²/2 at most, if μ were 0, and s by q of it.
    start = (1 - beta2) * sum(beta2 ** (steps - k) * beta1 ** (2 * k - 2) for k in range(1, steps))
    kappa = (1 - beta1) / (1 + beta1) * (1 + beta1**steps) / (1 - beta1**steps)
    error = 5 * difference.std().item() / streams**0.5
    assert abs(difference.mean().item()) < error + beta1**2 * start * kappa * deviation**2 / 2
    if beta2**steps < 1e-9:
        lasting = 2 * beta1**2 * deviation**2 / (1 + beta1) + eps / (1 - beta2)
        assert s.mean().item() == pytest.approx(lasting, rel=0.02)
    # The guard acts where the estimate is small, upwards, and nowhere else.
    acts = guarded != estimate
    assert bool((guarded >= estimate).all())
    assert acts.double().mean() < 0.5
    assert estimate[acts].mean() < estimate[~acts].mean() or not acts.any()


@pytest.mark.parametrize("beta1", [0.9, 0.5, 0.1, 0.99])
@pytest.mark.parametrize("beta2", [0.999, 0.81, 0.5, 0.0])
def test_after_one_step_the_estimate_is_s_itself(beta1: float, beta2: float) -> None:
    """Although one step says nothing of the variance: m̂² = v̂, and κ is 1 or next to it."""
    grad = GRADS[0]
    m, v = (1 - beta1) * grad, (1 - beta2) * grad**2
    s = (1 - beta2) * (grad - m) ** 2 + 1e-8
    estimate = expected_belief(m, v, 1, (beta1, beta2), 1e-8)
    assert torch.allclose(estimate, s, rtol=1e-12, atol=0)
    assert not expected_belief(m, v, 0, (beta1, beta2), 1e-8).any()


@pytest.mark.parametrize("steps", [2, 10, 3000])
def test_no_step_after_a_warm_start_is_much_larger_than_adams(steps: int) -> None:
    """Constant, then rising gradients: v̂ − m̂² is zero or below, and s would be the ε floor."""
    for grads in ([1.0] * steps, [1e-6] * (steps - 1) + [1.0]):
        m = v = torch.zeros((), dtype=torch.float64)
        for grad in grads:
            m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad**2
        s_hat = expected_belief(m, v, steps, (0.9, 0.999), 1e-16) / (1 - 0.999**steps)
        v_hat = v / (1 - 0.999**steps)
        # (1 + ρ) β₁² of the least variance lasts; what start the moments had is on top of it.
        least = LEAST_VARIANCE * 0.81 * (1 - 0.1 / 1.9 * (steps < 100))
        assert s_hat >= 0.999 * least * v_hat


def test_complex_and_half_precision_moments_are_estimated_in_parts_and_in_float32() -> None:
    m, v = GRADS[0], GRADS[1] ** 2
    whole = expected_belief(torch.complex(m, 2 * m), torch.complex(v, 3 * v), 9, (0.9, 0.99), 1e-8)
    assert torch.equal(whole.real, expected_belief(m, v, 9, (0.9, 0.99), 1e-8))
    assert torch.equal(whole.imag, expected_belief(2 * m, 3 * v, 9, (0.9, 0.99), 1e-8))
    half = expected_belief(m.half(), v.half(), 9, (0.9, 0.99), 1e-8)
    assert torch.equal(
        half, expected_belief(m.half().float(), v.half().float(), 9, (0.9, 0.99), 1e-8)
    )


def test_a_warm_start_descends_at_once() -> None:
    """As far as Adam itself goes on: the direction is m̂ and its divisor the size of a deviation."""
    adam, params = after_adam(20, lr=1e-3, weight_decay=0.0)
    twins = [param.detach().clone().requires_grad_() for param in params]
    optimizer, _ = load(grouped(twins), adam.state_dict(), "adam")
    for group, stepped in ((params, adam), (twins, optimizer)):
        before = [param.detach().clone() for param in group]
        for param, grad in zip(group, split(GRADS[20]), strict=True):
            param.grad = grad
        stepped.step()
        moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(group, before, strict=True)])
        if stepped is adam:
            expected = moved
    assert bool((moved.sign() == expected.sign()).all())
    assert bool((moved.abs() < 4 * expected.abs()).all())


def test_sources_are_named_as_the_documentation_names_them() -> None:
    page = (DOCS / "checkpoints.md").read_text("utf-8")
    assert all(f'"{source}"' in page for source in SOURCES)
