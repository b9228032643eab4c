"""What a large study costs beside its runs, and the training loop, at a tiny size."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks import belief, loop, scaling

from adabelief_lab.conduct import compare
from adabelief_lab.conduct.compare import records_of, results_of
from adabelief_lab.declare.study import Result, Run, Study, plan
from adabelief_lab.store.study_folder import Store


def test_the_driver_plans_when_tuning_ends_and_not_at_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def counted(study: Study, results: Mapping[str, Result]) -> list[Run]:
        plans.append(len(results))
        return plan(study, results)

    monkeypatch.setattr(compare, "plan", counted)
    monkeypatch.setitem(scaling.SIZES, 120, (2, 40, 20))
    found = scaling.drive(120, tmp_path)
    assert set(plans) == {0, 40, 80}, "at the start and when each of two optimizers is tuned"
    declared, store = scaling.study(120), Store(tmp_path)
    assert len(results_of(declared, store)) == 120
    assert all(found[name] > 0 for name in ("start_seconds", "run_seconds", "show_seconds"))


def test_records_do_not_hold_their_rows(tmp_path: Path) -> None:
    scaling.drive(10, tmp_path)
    declared, store = scaling.study(10), Store(tmp_path)
    record = records_of(declared, store)[0]
    rows = list(record.rows)
    assert len(record.rows) == len(rows) == 16
    assert (record.rows[0], record.rows[-2:]) == (rows[0], rows[-2:])
    store.folder(record.run).append([{"step": 1}])
    assert record.rows[-1] == {"step": 1}


def test_the_loop_is_measured_and_trains_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = loop.Case("tiny", batch_size=8, steps=4, eval_every=2)
    monkeypatch.setattr(loop, "CASES", {"tiny": tiny})
    record = loop.measure(Namespace(rounds=1, scratch=tmp_path))
    (case,) = record["cases"].values()
    assert set(case["rounds"]) == set(loop.CANDIDATES)
    assert all(one["wall"] > 0 and one["eval_wall"] > 0 for (one,) in case["rounds"].values())
    record["machine"] = {"torch": "2", "processor": "slow", "threads": 1}
    assert loop.table(record).count("\n| ") == 2 + len(loop.CANDIDATES) - 1


def test_a_loop_that_trains_something_else_is_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loop.CANDIDATES, "lab", ("nothing", lambda *_: None))
    with pytest.raises(SystemExit, match="did not train the same"):
        loop.times(loop.Case("tiny", 8, 1, 1), rounds=0, scratch=tmp_path)


def test_overhead_is_the_median_of_paired_ratios() -> None:
    def times(*walls: float) -> list[dict[str, float]]:
        return [{"wall": wall, "eval_wall": 1.0} for wall in walls]

    rounds = {"bare": times(1.0, 3.0, 1.0), "lab": times(1.1, 3.0, 4.0)}
    assert loop.overhead(rounds, "lab", "wall", evaluated=False) == pytest.approx(10)
    assert loop.overhead(rounds, "lab", "wall", evaluated=True) == pytest.approx(5)


def test_a_looks_share_is_of_a_hundred_steps() -> None:
    record = {
        "machine": {"torch": "2", "processor": "slow", "threads": 1},
        "seconds": {"gpt2": {"step": [1.0, 2.0, 1.0], "look": [0.5, 4.0, 2.0]}},
    }
    assert belief.table(record).endswith("| GPT-2 small | 1000.0 ms | 2000.0 ms | 2.00 % |")
