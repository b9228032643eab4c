"""Rows and tables: pure functions of a record, against values worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adabelief_lab.bench.record import BenchRecord, MemoryUse, Part, Timing, read_record
from adabelief_lab.bench.tables import count, heading, memory, overhead, rows, times


def timing(seconds: dict[str, list[float]], **facts: Any) -> Timing:
    values: dict[str, Any] = {
        "part": "speed", "shape": "16m", "tensors": 1, "parameters": 1 << 24, "threads": 1,
        "clock": "thread CPU time", "repeats": 1, "layouts": 1, "load": (0.5, 1.5),
    }  # fmt: skip
    return Timing(**{**values, **facts, "seconds": seconds})


def record(*timings: Timing, memory: tuple[MemoryUse, ...] = ()) -> BenchRecord:
    return BenchRecord(
        command="it", started="now", machine={}, timings=list(timings), memory=list(memory)
    )


def test_rows_are_sorted_and_say_how_near_the_ceiling_is() -> None:
    found = rows(
        record(
            timing(
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
    shown = times(found).rows[2]
    assert shown == ("AdaBelief, fused", "2000", "0.62", "0.56 to 0.69", "85 %", "2")


def test_a_candidate_of_two_timings_is_shown_with_the_most_rounds() -> None:
    near = timing({"adam-fused": [1.0] * 4, "fused": [0.5] * 4})
    far = timing({"adam-fused": [1.0], "fused": [0.9], "timm": [9.0]}, load=(0.1, 1.0))
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
    assert both.load("speed", "16m", 1) == (0.1, 1.5)
    assert both.load("speed", "16m", 2) is None


def test_the_overhead_of_a_tensor_is_what_a_further_one_adds() -> None:
    part: Part = "overhead"
    one = timing({"fused": [10e-6, 12e-6, 11e-6]}, part=part, shape="1x1", tensors=1)
    many = timing({"fused": [374e-6, 375e-6, 373e-6]}, part=part, shape="364x1", tensors=364)
    found = overhead(record(one, many))
    assert found is not None
    assert found.rows == [("AdaBelief, fused", "11", "1.00")]  # (374 − 11) / 363
    assert overhead(record(one)) is None


def test_bytes_per_parameter() -> None:
    used = MemoryUse(
        candidate="fused", shape="resnet34", parameters=100, state=804, peak=2000, before=1000
    )
    assert used.state_per_parameter == 8.04
    assert used.peak_per_parameter == 10.0
    untold = used.model_copy(update={"peak": None})
    assert untold.peak_per_parameter is None
    found = memory(record(memory=(used, untold)))
    assert found is not None
    assert [row[1:] for row in found.rows] == [("8.040", "10.0"), ("8.040", "–")]
    assert memory(record()) is None


def test_words() -> None:
    assert count(1, "tensor") == "1 tensor"
    assert count(1_000, "tensor") == "1,000 tensors"
    assert count(124_439_808, "parameter") == "124.4 M parameters"
    two = timing({"fused": [1.0]}, threads=2, clock="wall time")
    assert heading(two) == "1 × 16 M: 1 tensor, 16.78 M parameters; 2 threads, wall time"


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    whole = record(timing({"fused": [0.001, 2.0], "timm": [3.0, 4e-7]}))
    path = tmp_path / "record.json"
    path.write_text(whole.json_text())
    assert read_record(path) == whole
    assert '"fused": [0.001, 2.0]' in path.read_text(), "a candidate's times are one line"


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    with pytest.raises(ValueError, match=r"it\.json cannot be read: No such file"):
        read_record(path)
    path.write_text('{"command": "x", "started": "x", "machine": {}, "timings": 3}')
    with pytest.raises(ValueError, match=r"it\.json is no record of adabelief bench: timings: "):
        read_record(path)
