"""Ratios, rows and targets: pure functions of a record, against values worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adabelief_lab.bench.ratios import Ratio, paired, quartiles
from adabelief_lab.bench.record import BenchRecord, Footprint, Heat, Part, read_record
from adabelief_lab.bench.rows import count, heading, overhead, rows, thread_load


def heat(seconds: dict[str, list[float]], **facts: Any) -> Heat:
    values: dict[str, Any] = {
        "part": "speed", "shape": "16m", "tensors": 1, "parameters": 1 << 24, "threads": 1,
        "clock": "thread CPU time", "repeats": 1, "layouts": 1, "load": (0.5, 1.5),
    }  # fmt: skip
    return Heat(**{**values, **facts, "seconds": seconds})


def record(*heats: Heat, memory: tuple[Footprint, ...] = ()) -> BenchRecord:
    return BenchRecord(
        command="it", started="now", machine={}, heats=list(heats), memory=list(memory)
    )


def test_ratios_are_formed_within_a_round_before_the_median_is_taken() -> None:
    # Ratios 2, 1, 3, 2.5; the ratio of medians would be 5/2 = 2.5 and means nothing.
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


def test_rows_are_sorted_and_say_how_near_the_ceiling_is() -> None:
    found = rows(
        record(
            heat(
                {
                    "adam-fused": [2.0, 4.0],
                    "fused": [1.0, 3.0],
                    "ceiling": [0.9, 2.4],
                    "bf16-state": [0.5, 1.5],
                }
            )
        ),
        "speed", "16m", 1,
    )  # fmt: skip
    assert [row.name for row in found] == ["bf16-state", "ceiling", "fused", "adam-fused"]
    by_name = {row.name: row for row in found}
    assert by_name["fused"].ratio.median == pytest.approx((0.5 + 0.75) / 2)
    assert by_name["fused"].milliseconds == 2000
    near = by_name["fused"].of_ceiling
    assert near is not None
    assert near.median == pytest.approx((0.9 + 0.8) / 2)
    assert by_name["bf16-state"].of_ceiling is None, "it moves fewer bytes than the ceiling"
    assert by_name["ceiling"].of_ceiling is None


def test_a_contender_of_two_heats_is_shown_with_the_most_rounds() -> None:
    near = heat({"adam-fused": [1.0] * 4, "fused": [0.5] * 4})
    far = heat({"adam-fused": [1.0], "fused": [0.9], "timm": [9.0]}, thread_load=(0.1, 1.0))
    both = record(far, near)
    shown = {row.name: row for row in rows(both, "speed", "16m", 1)}
    assert (shown["fused"].ratio.median, shown["fused"].ratio.rounds) == (0.5, 4)
    assert shown["timm"].ratio.rounds == 1
    # Those who never met in a round have no ratio; those who met, theirs.
    beside = both.ratio("speed", "16m", 1, "timm", "fused")
    assert beside is not None
    assert beside.median == 10.0
    assert both.ratio("speed", "16m", 2, "timm", "fused") is None
    assert both.ratio("speed", "gpt2", 1, "fused", "adam-fused") is None
    assert thread_load(both, "speed", "16m", 1) == (0.1, 1.5)
    assert thread_load(both, "speed", "16m", 2) is None


def test_the_overhead_of_a_tensor_is_what_a_further_one_adds() -> None:
    part: Part = "overhead"
    one = heat({"fused": [10e-6, 12e-6, 11e-6]}, part=part, shape="1x1", tensors=1)
    many = heat({"fused": [374e-6, 375e-6, 373e-6]}, part=part, shape="364x1", tensors=364)
    (found,) = overhead(record(one, many))
    assert found.call == pytest.approx(11)
    assert found.tensor == pytest.approx(1)  # (374 − 11) / 363
    assert overhead(record(one)) == []


def test_bytes_per_parameter() -> None:
    print_ = Footprint(
        contender="fused", shape="resnet34", parameters=100, state=804, peak=2000, before=1000
    )
    assert print_.state_per_parameter == 8.04
    assert print_.peak_per_parameter == 10.0
    untold = print_.model_copy(update={"peak": None})
    assert untold.peak_per_parameter is None


def test_words() -> None:
    assert count(1, "tensor") == "1 tensor"
    assert count(1_000, "tensor") == "1,000 tensors"
    assert count(124_439_808, "parameter") == "124.4 M parameters"
    two = heat({"fused": [1.0]}, threads=2, clock="wall time")
    assert heading(two) == "1 × 16 M: 1 tensor, 16.78 M parameters; 2 threads, wall time"


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    whole = record(heat({"fused": [0.001, 2.0], "timm": [3.0, 4e-7]}))
    path = tmp_path / "record.json"
    path.write_text(whole.json_text())
    assert read_record(path) == whole
    assert '"fused": [0.001, 2.0]' in path.read_text(), "a contender's times are one line"


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    with pytest.raises(ValueError, match=r"it\.json cannot be read: No such file"):
        read_record(path)
    path.write_text('{"command": "x", "started": "x", "machine": {}, "heats": 3}')
    with pytest.raises(ValueError, match=r"it\.json is no record of adabelief bench: heats: "):
        read_record(path)
