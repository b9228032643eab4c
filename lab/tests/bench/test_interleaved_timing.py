"""Timings: which candidates run together, with what, and that no step is disturbed."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from adabelief_lab.bench.candidates import BASELINE, CANDIDATES, CEILING, OURS, candidates, why_not
from adabelief_lab.bench.interleaved_timing import CACHED, TEMPORARY, groups, measure
from adabelief_lab.bench.models import MODELS, equal
from adabelief_lab.bench.session import plan, sort_out
from adabelief_lab.bench.shared_parameters import SharedParameters

SMALL = equal(3, 50)
ALL = tuple(CANDIDATES.values())


def some(*names: str) -> list[Any]:
    return [CANDIDATES[name] for name in names]


def test_gradients_take_turns_and_are_new_objects() -> None:
    shared = SharedParameters(SMALL)
    seen = []
    for _ in range(4):
        shared.turn()
        seen.append([param.grad for param in shared.params])
    values = [[None if grad is None else grad.clone() for grad in grads] for grads in seen]
    assert all(torch.equal(a, b) for a, b in zip(values[0], values[2], strict=True))  # type: ignore[arg-type]
    assert not any(torch.equal(a, b) for a, b in zip(values[0], values[1], strict=True))  # type: ignore[arg-type]
    assert len({id(grad) for grads in seen for grad in grads}) == 12


def test_shared_parameters_always_hold_the_same_numbers() -> None:
    first, second = SharedParameters(SMALL), SharedParameters(SMALL)
    assert all(torch.equal(a, b) for a, b in zip(first.params, second.params, strict=True))
    assert SharedParameters(SMALL, torch.bfloat16).params[0].dtype == torch.bfloat16
    assert [param.shape for param in first.params] == [torch.Size(s) for s in SMALL.shapes]


def test_numbers_that_are_not_finite_stop_the_benchmark() -> None:
    for broken in ("parameter", "this gradient", "the next gradient"):
        shared = SharedParameters(SMALL)
        shared.check()
        grad = shared.params[1].grad
        if broken == "the next gradient":
            shared.turn()
        with torch.no_grad():
            assert grad is not None
            (shared.params[1] if broken == "parameter" else grad)[3] = torch.inf
        with pytest.raises(RuntimeError, match="stopped being finite"):
            shared.check()


def available(*names: str) -> list[Any]:
    return [one for one in some(*names) if not why_not(one)]


def test_a_timing_has_a_time_for_every_round_of_everybody_and_leaves_torch_as_it_was() -> None:
    threads, ticks = torch.get_num_threads(), []
    entered = available(BASELINE, "loop", "foreach", "adam-single")
    ran = list(measure("speed", SMALL, entered, (1, 2), 5, lambda: ticks.append(1)))
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


def test_candidates_share_parameters_and_gradients_and_do_not_touch_the_latter() -> None:
    stepped: dict[str, list[list[nn.Parameter]]] = {}

    def spy(one: Any) -> Any:
        def make(params: list[nn.Parameter]) -> Any:
            stepped.setdefault(one.name, []).append(params)
            return one.make(params)

        return replace(one, make=make)

    entered = available(BASELINE, "loop", "adabelief-pytorch", "timm", "pytorch-optimizer")
    list(measure("speed", SMALL, [spy(one) for one in entered], (1,), 2, lambda: None))
    assert len(stepped) == len(entered)
    (layouts,) = {len(each) for each in stepped.values()}
    assert layouts == 1
    assert len({id(each[0][0]) for each in stepped.values()}) == 1
    expected = SharedParameters(SMALL)
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

    idle = replace(CANDIDATES["loop"], make=lambda _: Idle())
    large = equal(1, 1_000_000)  # so that few steps make a time
    one, two = measure("speed", large, [idle], (1, 2), 1, lambda: None)
    assert one.seconds["loop"][0] < 0.025
    assert two.seconds["loop"][0] >= 0.05


def test_a_step_that_breaks_parameters_is_no_measurement() -> None:
    class Broken:
        def __init__(self, params: list[nn.Parameter]) -> None:
            self.params = params

        def step(self) -> None:
            with torch.no_grad():
                self.params[0].fill_(torch.nan)

    broken = replace(CANDIDATES["loop"], make=Broken)
    with pytest.raises(RuntimeError, match="stopped being finite"):
        list(measure("speed", SMALL, [*some(BASELINE), broken], (1,), 1, lambda: None))


def test_all_run_together_where_memory_allows() -> None:
    near, far = groups(ALL, MODELS["16m"])
    assert {one.name for one in near} == {one.name for one in ALL if one.near}
    assert {one.name for one in far} - {BASELINE, OURS} == {o.name for o in ALL if not o.near}
    for group in (near, far):
        assert {BASELINE, OURS} <= {one.name for one in group}


def test_groups_fit_into_memory_and_everybody_runs_once() -> None:
    model, budget = MODELS["gpt2"], 8e9
    found = groups(ALL, model, budget)
    assert len(found) > 2
    others = [one.name for group in found for one in group if one.name not in (BASELINE, OURS)]
    assert sorted(others) == sorted({*CANDIDATES} - {BASELINE, OURS})
    for group in found:
        assert {BASELINE, OURS} <= {one.name for one in group}
        each = 3 * sum({one.dtype: one.dtype.itemsize for one in group}.values())
        each += sum(one.state for one in group)  # type: ignore[assignment]
        each += 0 if any(o.near for o in group if o.name not in (BASELINE, OURS)) else TEMPORARY
        assert each * model.parameters <= budget


def test_a_model_that_does_not_fit_is_refused_with_what_it_needs() -> None:
    # 3 × (4 + 2) for parameters and gradients of both dtypes, 8 for each anchor and for one more:
    # (18 + 24) × 124,439,808 bytes.
    with pytest.raises(ValueError, match=r"gpt2 needs 4\.9 GiB of memory, got 0\.9"):
        groups(ALL, MODELS["gpt2"], 1e9)


def test_the_baseline_alone_is_a_group() -> None:
    assert groups(some(BASELINE), SMALL) == [some(BASELINE)]


def test_the_plan() -> None:
    jobs = list(plan(ALL, rounds=10))
    speed = [job for job in jobs if job.part == "speed"]
    assert list(dict.fromkeys(job.model.name for job in speed)) == list(MODELS)
    for job in speed:
        names = {one.name for one in job.candidates}
        assert (CEILING in names) == (job.model.parameters >= CACHED and "default" in names), (
            "the ceiling runs where memory limits, among those who are near it"
        )
        assert job.rounds == (10 if "default" in names else 3)
        assert job.ticks == 2 * job.rounds
    rest = [job for job in jobs if job.part != "speed"]
    assert {job.part for job in rest} == {"overhead", "paths", "memory"}
    assert all(job.threads == (1,) for job in rest)
    assert CEILING not in {one.name for job in rest for one in job.candidates}
    assert sum(job.part == "memory" for job in rest) == len(ALL) - 1


def test_names_bring_the_anchors_and_unknown_ones_are_refused() -> None:
    assert [one.name for one in candidates(["timm"])] == [
        BASELINE, OURS, CEILING, "default", "timm",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="unknown candidate 'tim': did you mean timm"):
        candidates(["tim"])


def test_a_candidate_that_cannot_run_is_left_out_with_its_reason() -> None:
    def make(_: list[nn.Parameter]) -> Any:
        msg = "no such thing here\nand more"
        raise RuntimeError(msg)

    gone = replace(CANDIDATES["timm"], make=make)
    can, reasons = sort_out([*some(BASELINE, "loop"), gone])
    assert [one.name for one in can] == [BASELINE, "loop"]
    assert reasons == {"timm": "no such thing here"}
