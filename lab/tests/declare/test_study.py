"""Plans are pure functions of declaration and results."""

from __future__ import annotations

from typing import Any

import pytest

from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import declare
from adabelief_lab.conduct.progress import Clock, duration, progress
from adabelief_lab.declare.search_space import point_text
from adabelief_lab.declare.study import Result, Run, Study, plan, select
from adabelief_lab.optimizers import Search, resolve
from adabelief_lab.run.validate import preset_of
from adabelief_lab.workloads.load import load_workload


@pytest.fixture
def study() -> Study:
    return declare(
        load_workload("fashion-mnist"), "smoke", resolve(["adabelief", "sgd"]), trials=3, seeds=2
    )


def ended(value: float | None, status: str = "ok") -> Result:
    last = {} if value is None else {"accuracy": value, "loss": 1.0}
    return Result(status=status, step=40, last=last, seconds=1.0, eval_seconds=0.1)  # type: ignore[arg-type]


def finish(runs: list[Run], *values: float | None) -> dict[str, Result]:
    return {
        run.key: ended(value, "ok" if value is not None else "diverged")
        for run, value in zip(runs, values, strict=True)
    }


def test_every_optimizer_gets_the_same_number_of_trials_on_the_same_seeds(study: Study) -> None:
    runs = plan(study, {})
    assert [run.optimizer for run in runs] == ["adabelief"] * 3 + ["sgd"] * 3
    assert {(run.init_seed, run.data_seed, run.phase, run.split) for run in runs} == {
        (11, 12, "tune", "valid")
    }
    assert len({run.key for run in runs}) == 6


def test_final_runs_take_the_best_trial_on_fresh_paired_seeds_and_test_data(study: Study) -> None:
    tune = study.tune_runs(study.optimizers[0])
    results = finish(tune, 0.2, 0.9, 0.5)
    final = [run for run in plan(study, results) if run.phase == "final"]
    assert [run.hyperparameters["lr"] for run in final] == [tune[1].hyperparameters["lr"]] * 2
    assert [(run.init_seed, run.data_seed, run.split) for run in final] == [
        (1000, 2000, "test"),
        (1001, 2001, "test"),
    ]
    others = plan(study, results | finish(study.tune_runs(study.optimizers[1]), 0.1, 0.2, 0.3))
    seeds = {spec: [(r.init_seed, r.data_seed) for r in others if r.optimizer == spec
                     and r.phase == "final"] for spec in ("adabelief", "sgd")}  # fmt: skip
    assert seeds["adabelief"] == seeds["sgd"]


def test_no_final_run_before_every_trial_is_in(study: Study) -> None:
    tune = study.tune_runs(study.optimizers[0])
    results = finish(tune[:2], 0.2, 0.9)
    assert all(run.phase == "tune" for run in plan(study, results))


def test_selection_prefers_the_first_of_equals_and_never_a_diverged_run(study: Study) -> None:
    spec = study.optimizers[0]
    tune = study.tune_runs(spec)
    points = study.points(spec)
    assert select(study, spec, finish(tune, 0.5, 0.5, 0.4)) == (points[0], tune[0])
    assert select(study, spec, finish(tune, None, 0.3, None)) == (points[1], tune[1])
    assert select(study, spec, finish(tune, None, None, None)) is None


def test_selection_follows_the_direction_of_the_metric(study: Study) -> None:
    tune = study.tune_runs(study.optimizers[0])
    results = finish(tune, 0.2, 0.9, 0.5)
    lower = study.model_copy(update={"primary": "loss"})
    results[tune[2].key].last["loss"] = 0.5
    chosen = select(lower, study.optimizers[0], results)
    assert chosen is not None
    assert chosen.run == tune[2]


@pytest.mark.parametrize("search", ["space", "paper"])
def test_other_searches_choose_a_whole_point(search: Search) -> None:
    study = declare(
        load_workload("fashion-mnist"), "smoke", resolve(["adamw", "sgd"]), search=search
    )
    sizes = [len(study.tune_runs(spec)) for spec in study.optimizers]
    assert sizes == {"space": [2, 2], "paper": [100, 5]}[search]
    assert study.n_runs == sum(sizes) + 2 * 2
    spec = study.optimizers[0]
    tune = study.tune_runs(spec)
    results = finish(tune, *[0.1] * (len(tune) - 1), 0.9)
    chosen = select(study, spec, results)
    assert chosen is not None
    assert (chosen.point, chosen.run) == (study.points(spec)[-1], tune[-1])
    for run in study.final_runs(spec, chosen.point):
        assert run.hyperparameters == tune[-1].hyperparameters
    assert progress(study, results).optimizers[0].best == point_text(chosen.point)


@pytest.mark.parametrize("names", [["adamw", "sgd"], ["msvag"]])
def test_a_grid_that_is_no_square_is_refused(names: list[str]) -> None:
    """Also where every optimizer searches lr alone: the declaration would mean another budget."""
    loaded, specs = load_workload("fashion-mnist"), resolve(names)
    with pytest.raises(LabError, match=r"square number of trials.*got 7; the nearest are 4 and 9"):
        declare(loaded, "smoke", specs, trials=7, search="grid")
    study = declare(loaded, "smoke", specs, trials=4, search="grid")
    assert [len(study.tune_runs(spec)) for spec in specs] == [4] * len(specs)


def test_an_optimizer_that_always_diverges_has_no_final_runs(study: Study) -> None:
    results = finish(study.tune_runs(study.optimizers[0]), None, None, None)
    assert all(run.phase == "tune" for run in plan(study, results))
    counted = progress(study, results)
    assert (counted.optimizers[0].diverged, counted.optimizers[0].seeds) == (3, 0)
    assert counted.total_runs == 3 + 3 + 2


def test_progress_counts_steps_of_unfinished_runs(study: Study) -> None:
    tune = study.tune_runs(study.optimizers[0])
    counted = progress(study, finish(tune[:1], 0.5), {tune[0].key: 7, tune[1].key: 10})
    assert (counted.runs, counted.total_runs) == (1, 10)
    assert (counted.steps, counted.total_steps) == (50, 400)


def test_the_time_left_is_in_proportion_to_the_steps_left(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("adabelief_lab.conduct.progress.time.monotonic", lambda: now[0])
    clock = Clock(0)
    now[0] += 60  # a tenth of the 400 steps took a minute
    tune = study.tune_runs(study.optimizers[0])
    assert clock.left(progress(study, finish(tune[:1], 0.5))) == ", about 9 min left"
    assert clock.left(progress(study, {})) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_presets_and_sizes_out_of_range_are_refused() -> None:
    loaded = load_workload("fashion-mnist")
    with pytest.raises(LabError, match="no preset 'huge'; it has quick, smoke"):
        preset_of(loaded.workload, "huge")
    with pytest.raises(LabError, match="seeds must be greater than or equal to 1, got 0"):
        declare(loaded, "smoke", resolve(["adabelief"]), seeds=0)


def test_runs_are_made_once_and_anew_for_whatever_was_changed(study: Study) -> None:
    spec = study.optimizers[0]
    first, chosen = study.tune_runs(spec)[0], study.points(spec)[0]
    assert study.tune_runs(spec)[0] is first
    assert study.final_runs(spec, chosen)[0] is study.final_runs(spec, dict(chosen))[0]
    fewer = study.model_copy(update={"settings": study.settings.model_copy(update={"trials": 2})})
    assert (len(fewer.tune_runs(spec)), len(study.tune_runs(spec))) == (2, 3)
    other = spec.model_copy(update={"implementation": "adam"})
    assert {run.implementation for run in study.tune_runs(other)} == {"adam"}
    assert {run.implementation for run in study.final_runs(other, chosen)} == {"adam"}
    assert study.tune_runs(spec) == [first, *study.tune_runs(spec)[1:]]


def test_options_given_are_in_the_runs_and_on_every_figure() -> None:
    loaded, specs = load_workload("cifar10-vgg11"), resolve(["adabelief", "sgd"])
    own = declare(loaded, "smoke", specs, search="lr")
    given = {"precision": "bfloat16", "batch_size": 8}
    study = declare(loaded, "smoke", specs, search="lr", options=given)
    told = {**own.settings.options, **given}
    assert study.settings.options == told
    assert study.settings.watermark == (
        f"{own.settings.watermark}; with precision=bfloat16, batch_size=8"
    )
    run, plain = (each.tune_runs(each.optimizers[0])[0] for each in (study, own))
    assert run.options == told
    assert run.key != plain.key
    assert declare(loaded, "smoke", specs, search="lr", options=None) == own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"presicion": "bfloat16"}, "has no option presicion; it has model, data, reduced"),
        ({"precision": "bf16"}, r"option precision must be 'float32' or 'bfloat16', got 'bf16'"),
        ({"batch_size": 0}, "option batch_size must be greater than or equal to 1, got 0"),
    ],
)
def test_options_that_the_workload_does_not_know_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(LabError, match=message):
        declare(load_workload("cifar10-vgg11"), "smoke", resolve(["adabelief"]), options=options)
