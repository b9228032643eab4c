"""The harness: fair rounds, ratios worked by hand, tables, marks, a benchmark's command."""

from __future__ import annotations

import gc
import itertools
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from adabelief_lab.bench.harness import (
    Benchmark,
    Ratio,
    Table,
    conditions,
    filled,
    interleaved,
    json_text,
    paired,
    quartiles,
    timed,
)


def test_every_candidate_is_measured_once_in_every_round() -> None:
    calls: list[tuple[str, int]] = []
    ticks: list[int] = []

    def candidate(name: str) -> Any:
        def measure(number: int) -> int:
            calls.append((name, number))
            return 10 * number

        return measure

    found = interleaved(
        {name: candidate(name) for name in "abc"}, 3, warm_up=2, tick=lambda: ticks.append(1)
    )
    assert found == {name: [20, 30, 40] for name in "abc"}, "warm-up does not count"
    assert len(ticks) == 3
    for number, of_round in itertools.groupby(calls, key=lambda call: call[1]):
        assert sorted(name for name, _ in of_round) == ["a", "b", "c"], number


def test_no_candidate_has_a_place_of_its_own() -> None:
    order: list[str] = []
    candidates = {name: (lambda _, name=name: order.append(name)) for name in "abc"}
    interleaved(candidates, 6000, sampler=random.Random(0), warm_up=0)
    orders = Counter(tuple(order[at : at + 3]) for at in range(0, len(order), 3))
    assert len(orders) == 6
    # Each of the six orders is expected 1,000 times; σ = √(6000 · 5/36) = 29.
    assert all(abs(times - 1000) < 150 for times in orders.values())


def test_a_time_is_that_of_the_step_and_garbage_is_collected_before() -> None:
    ticking = itertools.count()
    seen: list[int] = []
    collected: list[str] = []

    def note(phase: str, _: Any) -> None:
        collected.append(phase)

    def step(number: int) -> None:
        seen.append(number)
        assert collected[-1] == "stop"
        next(ticking)

    gc.callbacks.append(note)
    try:
        assert timed(step, clock=lambda: float(next(ticking)))(7) == 2.0
    finally:
        gc.callbacks.remove(note)
    assert seen == [7]


def test_ratios_are_formed_within_a_round_before_the_median_is_taken() -> None:
    # Ratios 2, 1, 3, 2.5; the ratio of medians would be 5/3 and means nothing.
    found = paired([2.0, 4.0, 6.0, 25.0], [1.0, 4.0, 2.0, 10.0])
    # Sorted 1, 2, 2.5, 3: the quartiles lie at 0.75, 1.5 and 2.25 of the way through.
    assert found == Ratio(median=2.25, low=1.75, high=2.625, rounds=4)


def test_quartiles_of_few_values() -> None:
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert quartiles([1.0, 2.0]) == (1.25, 1.5, 1.75)
    assert quartiles([5.0, 1.0, 3.0]) == (2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("times", "baseline", "message"),
    [
        ([], [], "same rounds, got 0 and 0"),
        ([1.0], [1.0, 2.0], "same rounds, got 1 and 2"),
        ([1.0, 0.0], [1.0, 1.0], "must be positive, got 0.0"),
        ([1.0], [-1.0], "must be positive, got -1.0"),
    ],
)
def test_times_without_pairs_are_refused(
    times: list[float], baseline: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired(times, baseline)


def test_tables_and_conditions() -> None:
    table = Table(("name", "ms", "why"), [("a", "1.5", "x"), ("b", "", "y")], text=(0, 2))
    assert str(table).splitlines() == [
        "| name | ms | why |", "| --- | ---: | --- |", "| a | 1.5 | x |", "| b |  | y |",
    ]  # fmt: skip
    record = {"machine": {"torch": "2", "processor": "Abacus", "threads": 1}, "load_average": 0.25}
    assert conditions(record, "CPU time") == (
        "torch 2, Abacus, 1 thread, CPU time; load average 0.2 at the beginning."
    )
    record["machine"]["threads"] = 3  # type: ignore[index]
    record["load_average"] = None
    assert conditions(record) == "torch 2, Abacus, 3 threads."


def test_numbers_of_a_list_are_one_line_of_json_and_infinities_are_refused() -> None:
    value = {"a": {"b": [1.0, 2e-7], "c": []}, "d": [{"e": [1]}, {}], "f": (1, 2)}
    text = json_text(value)
    assert json.loads(text) == {**value, "f": [1, 2]}
    assert '"b": [1.0, 2e-07]' in text
    with pytest.raises(ValueError, match="Out of range"):
        json_text({"loss": float("nan")})


@pytest.mark.parametrize("page", ["", "<b> no end", "no begin <e>", "<e> <b>", "<b> <b> <e>"])
def test_a_page_without_its_marks_is_refused(page: str) -> None:
    assert filled("x <b> old <e> y", "<b>", "<e>", "new") == "x <b>\n\nnew\n\n<e> y"
    with pytest.raises(ValueError, match="must have one '<b>' and one '<e>'"):
        filled(page, "<b>", "<e>", "new")


PAGE = (
    "# Toy\n\n<!-- numbers: written by python -m benchmarks.toy -->\n\n{}\n\n"
    "<!-- end of numbers -->\n"
)


def toy(folder: Path) -> Benchmark:
    (folder / "toy.md").write_text(PAGE.format("nothing yet"))
    return Benchmark(
        about="A toy.",
        record=folder / "toy.json",
        page=folder / "toy.md",
        sections={"numbers": lambda record: f"{len(record['seconds'])} rounds"},
        measure=lambda given: {"seconds": [0.5] * given.rounds, "kinds": list(given.kinds)},
        options={"rounds": 4, "kinds": ("a", "b"), "scratch": None},
        figure=lambda record: b"picture",
    )


def test_the_command_writes_record_figure_and_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = toy(tmp_path)
    benchmark.command([])
    record = json.loads((tmp_path / "toy.json").read_text())
    assert (record["seconds"], record["kinds"]) == ([0.5] * 4, ["a", "b"])
    assert {"torch", "processor", "threads", "cores"} <= record["machine"].keys()
    assert "load_average" in record
    assert (tmp_path / "toy.md").read_text() == PAGE.format("4 rounds")
    assert (tmp_path / "toy.png").read_bytes() == b"picture"
    assert capsys.readouterr().out == "numbers\n\n4 rounds\n\n"
    (tmp_path / "toy.md").write_text(PAGE.format("old"))
    benchmark.command(["--table", "--rounds", "9"])
    assert (tmp_path / "toy.md").read_text() == PAGE.format("4 rounds"), "nothing is measured"


def test_another_record_leaves_the_page_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy(tmp_path).command(
        ["--record", str(tmp_path / "mine.json"), "--rounds", "2", "--kinds", "b"]
    )
    assert json.loads((tmp_path / "mine.json").read_text())["kinds"] == ["b"]
    assert capsys.readouterr().out == "numbers\n\n2 rounds\n\n"
    assert (tmp_path / "toy.md").read_text() == PAGE.format("nothing yet")
    assert not (tmp_path / "toy.json").exists()


def test_a_record_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"toy\.json cannot be read: No such file"):
        toy(tmp_path).command(["--table"])
