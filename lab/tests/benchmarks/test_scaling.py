"""What a large study costs, at a tiny size; docs/scaling.md says what the records say."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from adabelief_lab.conduct import compare
from adabelief_lab.conduct.compare import records_of, results_of
from adabelief_lab.declare.study import Result, Run, Study, plan
from adabelief_lab.store.study_folder import Store
from paths import ROOT

sys.path.append(str(ROOT))
from benchmarks import belief, loop, scaling
from benchmarks.marked import filled


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


def test_the_loop_is_measured_and_trains_the_same_weights(tmp_path: Path) -> None:
    tiny = loop.Case("tiny", batch_size=8, steps=4, eval_every=2)
    record = loop.record_of({"tiny": tiny}, rounds=1, scratch=tmp_path)
    (case,) = record["cases"].values()
    assert set(case["rounds"]) == set(loop.CONTENDERS)
    assert all(one["wall"] > 0 and one["eval_wall"] > 0 for (one,) in case["rounds"].values())
    assert loop.table(record).count("\n| ") == 2 + len(loop.CONTENDERS) - 1


def test_a_loop_that_trains_something_else_is_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loop.CONTENDERS, "lab", ("nothing", lambda *_: None))
    with pytest.raises(SystemExit, match="did not train the same"):
        loop.measure(loop.Case("tiny", 8, 1, 1), rounds=0, scratch=tmp_path)


def test_overhead_is_the_median_of_paired_ratios() -> None:
    def times(*walls: float) -> list[dict[str, float]]:
        return [{"wall": wall, "eval_wall": 1.0} for wall in walls]

    rounds = {"bare": times(1.0, 3.0, 1.0), "lab": times(1.1, 3.0, 4.0)}
    assert loop.overhead(rounds, "lab", "wall", evaluated=False) == pytest.approx(10)
    assert loop.overhead(rounds, "lab", "wall", evaluated=True) == pytest.approx(5)


def test_the_page_is_written_from_the_records() -> None:
    for module in (scaling, loop, belief):
        page = module.PAGE.read_text()
        record = json.loads(module.RECORD.read_text())
        assert filled(page, module.BEGIN, module.END, module.table(record)) == page


@pytest.mark.parametrize("page", ["", "<b> no end", "no begin <e>", "<e> <b>", "<b> <b> <e>"])
def test_a_page_without_its_marks_is_refused(page: str) -> None:
    assert filled("x <b> old <e> y", "<b>", "<e>", "new") == "x <b>\n\nnew\n\n<e> y"
    with pytest.raises(ValueError, match="must have one '<b>' and one '<e>'"):
        filled(page, "<b>", "<e>", "new")


def test_a_looks_share_is_of_a_hundred_steps() -> None:
    assert belief.percent({"step": [1.0, 2.0, 1.0], "look": [0.5, 4.0, 2.0]}) == 2.0
