"""Heats: who runs against whom, with what, and that nobody's step is disturbed."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from adabelief_lab.bench.candidates import BASELINE, CEILING, CONTENDERS, OURS, contenders, why_not
from adabelief_lab.bench.interleaved_timing import CACHED, TEMPORARY, heats, run
from adabelief_lab.bench.models import MODELS, equal
from adabelief_lab.bench.session import Plan, sort_out
from adabelief_lab.bench.shared_parameters import Arena

SMALL = equal(3, 50)
ALL = tuple(CONTENDERS.values())


def some(*names: str) -> list[Any]:
    return [CONTENDERS[name] for name in names]


def test_gradients_take_turns_and_are_new_objects() -> None:
    arena = Arena(SMALL)
    seen = []
    for _ in range(4):
        arena.turn()
        seen.append([param.grad for param in arena.params])
    values = [[None if grad is None else grad.clone() for grad in grads] for grads in seen]
    assert all(torch.equal(a, b) for a, b in zip(values[0], values[2], strict=True))  # type: ignore[arg-type]
    assert not any(torch.equal(a, b) for a, b in zip(values[0], values[1], strict=True))  # type: ignore[arg-type]
    assert len({id(grad) for grads in seen for grad in grads}) == 12


def test_every_arena_holds_the_same_numbers() -> None:
    first, second = Arena(SMALL), Arena(SMALL)
    assert all(torch.equal(a, b) for a, b in zip(first.params, second.params, strict=True))
    assert Arena(SMALL, torch.bfloat16).params[0].dtype == torch.bfloat16
    assert [param.shape for param in first.params] == [torch.Size(s) for s in SMALL.shapes]


def test_numbers_that_are_not_finite_stop_the_benchmark() -> None:
    for broken in ("parameter", "this gradient", "the next gradient"):
        arena = Arena(SMALL)
        arena.check()
        grad = arena.params[1].grad
        if broken == "the next gradient":
            arena.turn()
        with torch.no_grad():
            assert grad is not None
            (arena.params[1] if broken == "parameter" else grad)[3] = torch.inf
        with pytest.raises(RuntimeError, match="stopped being finite"):
            arena.check()


def available(*names: str) -> list[Any]:
    return [one for one in some(*names) if not why_not(one)]


def test_a_heat_has_a_time_for_every_round_of_everybody_and_leaves_torch_as_it_was() -> None:
    threads, ticks = torch.get_num_threads(), []
    entered = available(BASELINE, "loop", "foreach", "adam-single")
    ran = list(run("speed", SMALL, entered, (1, 2), 5, lambda: ticks.append(1)))
    assert [one.threads for one in ran] == [1, 2]
    assert [one.clock for one in ran] == ["thread CPU time", "wall time"]
    for one in ran:
        assert one.seconds.keys() == {entry.name for entry in entered}
        assert all(len(times) == 5 == one.rounds for times in one.seconds.values())
        assert all(time > 0 for times in one.seconds.values() for time in times)
        assert (one.shape, one.tensors, one.parameters) == ("3x50", 3, 150)
        assert one.layouts == 2, "four rounds, then everything is put elsewhere"
    assert len(ticks) == 10
    assert torch.get_num_threads() == threads
    assert gc.isenabled()


def test_contenders_share_parameters_and_gradients_and_do_not_touch_the_latter() -> None:
    stepped: dict[str, list[list[nn.Parameter]]] = {}

    def spy(one: Any) -> Any:
        def make(params: list[nn.Parameter]) -> Any:
            stepped.setdefault(one.name, []).append(params)
            return one.make(params)

        return replace(one, make=make)

    entered = available(BASELINE, "loop", "adabelief-pytorch", "timm", "pytorch-optimizer")
    list(run("speed", SMALL, [spy(one) for one in entered], (1,), 2, lambda: None))
    assert len(stepped) == len(entered)
    (layouts,) = {len(each) for each in stepped.values()}
    assert layouts == 1
    assert len({id(each[0][0]) for each in stepped.values()}) == 1
    expected = Arena(SMALL)
    final = stepped[BASELINE][0]
    grads = [param.grad for param in final]
    turns = [[grad.clone() for grad in turn] for turn in expected._turns]
    assert any(
        all(torch.equal(a, b) for a, b in zip(grads, turn, strict=True))  # type: ignore[arg-type]
        for turn in turns
    )
    moved = [(a - b).abs().max().item() for a, b in zip(final, expected.params, strict=True)]
    assert 0 < max(moved) < 1e-3, "the parameters move, and stay where they were"


def test_one_thread_is_timed_by_what_it_computes_and_two_by_the_wall() -> None:
    class Idle:
        def step(self) -> None:
            time.sleep(0.05)

    idle = replace(CONTENDERS["loop"], make=lambda _: Idle())
    large = equal(1, 1_000_000)  # so that few steps make a time
    one, two = run("speed", large, [idle], (1, 2), 1, lambda: None)
    assert one.seconds["loop"][0] < 0.025
    assert two.seconds["loop"][0] >= 0.05


def test_a_step_that_breaks_parameters_is_no_measurement() -> None:
    class Broken:
        def __init__(self, params: list[nn.Parameter]) -> None:
            self.params = params

        def step(self) -> None:
            with torch.no_grad():
                self.params[0].fill_(torch.nan)

    broken = replace(CONTENDERS["loop"], make=Broken)
    with pytest.raises(RuntimeError, match="stopped being finite"):
        list(run("speed", SMALL, [*some(BASELINE), broken], (1,), 1, lambda: None))


def test_all_run_together_where_memory_allows() -> None:
    near, far = heats(ALL, MODELS["16m"])
    assert {one.name for one in near} == {one.name for one in ALL if one.near}
    assert {one.name for one in far} - {BASELINE, OURS} == {o.name for o in ALL if not o.near}
    for heat in (near, far):
        assert {BASELINE, OURS} <= {one.name for one in heat}


def test_heats_fit_into_memory_and_everybody_runs_once() -> None:
    model, budget = MODELS["gpt2"], 8e9
    found = heats(ALL, model, budget)
    assert len(found) > 2
    others = [one.name for heat in found for one in heat if one.name not in (BASELINE, OURS)]
    assert sorted(others) == sorted({*CONTENDERS} - {BASELINE, OURS})
    for heat in found:
        assert {BASELINE, OURS} <= {one.name for one in heat}
        each = 3 * sum({one.dtype: one.dtype.itemsize for one in heat}.values())
        each += sum(one.state for one in heat)  # type: ignore[assignment]
        each += 0 if any(o.near for o in heat if o.name not in (BASELINE, OURS)) else TEMPORARY
        assert each * model.parameters <= budget


def test_a_model_that_does_not_fit_is_refused_with_what_it_needs() -> None:
    # 3 × (4 + 2) for parameters and gradients of both dtypes, 8 for each anchor and for one more:
    # (18 + 24) × 124,439,808 bytes.
    with pytest.raises(ValueError, match=r"gpt2 needs 4\.9 GiB of memory, got 0\.9"):
        heats(ALL, MODELS["gpt2"], 1e9)


def test_the_baseline_alone_is_a_heat() -> None:
    assert heats(some(BASELINE), SMALL) == [some(BASELINE)]


def test_the_plan() -> None:
    jobs = Plan(rounds=10).jobs(ALL)
    speed = [job for job in jobs if job.part == "speed"]
    assert list(dict.fromkeys(job.model.name for job in speed)) == list(MODELS)
    for job in speed:
        names = {one.name for one in job.contenders}
        assert (CEILING in names) == (job.model.parameters >= CACHED and "default" in names), (
            "the ceiling runs where memory limits, among those who are near it"
        )
        assert job.rounds == (10 if "default" in names else 3)
        assert job.ticks == 2 * job.rounds
    rest = [job for job in jobs if job.part != "speed"]
    assert {job.part for job in rest} == {"overhead", "paths", "memory"}
    assert all(job.threads == (1,) for job in rest)
    assert CEILING not in {one.name for job in rest for one in job.contenders}
    assert sum(job.part == "memory" for job in rest) == len(ALL) - 1


def test_names_bring_the_anchors_and_unknown_ones_are_refused() -> None:
    assert [one.name for one in contenders(["timm"])] == [
        BASELINE, OURS, CEILING, "default", "timm",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="unknown contender 'tim': did you mean timm"):
        contenders(["tim"])


def test_a_contender_that_cannot_run_is_left_out_with_its_reason() -> None:
    def make(_: list[nn.Parameter]) -> Any:
        msg = "no such thing here\nand more"
        raise RuntimeError(msg)

    gone = replace(CONTENDERS["timm"], make=make)
    can, reasons = sort_out([*some(BASELINE, "loop"), gone])
    assert [one.name for one in can] == [BASELINE, "loop"]
    assert reasons == {"timm": "no such thing here"}
