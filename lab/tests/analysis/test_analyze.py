from __future__ import annotations

from typing import Literal

import pytest

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.analysis.comparison import Comparison, PairedTest
from adabelief_lab.declare.study import RunRecord
from studies import End, final, record, records, spec, study, tuned

SIX = [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


def compared(
    ours: list[End], adam: list[End], direction: Literal["min", "max"] = "max"
) -> Comparison:
    declared = study(seeds=len(ours), direction=direction)
    return analyze(declared, records(declared, {"ours": ours, "adam": adam}))


def only_pairing(comparison: Comparison) -> PairedTest:
    (paired,) = comparison.paired_tests
    return paired


def test_six_agreeing_seeds_decide_one_comparison() -> None:
    found = compared([*SIX], [x - 1 for x in SIX])
    paired = only_pairing(found)
    assert (paired.p, paired.p_holm, paired.verdict, paired.note) == (
        2 / 64,
        2 / 64,
        "better",
        "",
    )
    assert paired.difference is not None
    assert (paired.difference.mean, paired.difference.half_width) == (1.0, 0.0)
    assert found.headline == "Ours is better than Adam on test score."


def test_lower_is_better_when_the_metric_says_so() -> None:
    found = compared([*SIX], [x - 1 for x in SIX], direction="min")
    assert only_pairing(found).verdict == "worse"
    assert [one.optimizer.name for one in found.ranking] == ["adam", "ours"]
    found = compared([*SIX], [x + 1 for x in SIX], direction="min")
    assert only_pairing(found).verdict == "better"


def test_five_seeds_are_too_few_however_clear_they_are() -> None:
    found = compared([100.0 + x for x in range(5)], [0.0] * 5)
    paired = only_pairing(found)
    assert (paired.p, paired.verdict) == (2 / 32, "undecided")
    assert paired.note == "needs at least 6 seeds, has 5"
    assert found.headline.startswith("Undecided")
    assert any("at least 6 seeds" in sentence for sentence in found.sentences)


def test_enough_seeds_without_a_difference_do_not_ask_for_seeds() -> None:
    paired = only_pairing(compared([*SIX], [6.0, 5.0, 8.0, 7.0, 10.0, 9.0]))
    assert (paired.p, paired.verdict) == (1.0, "undecided")
    assert "needs" not in paired.note


def test_comparisons_that_are_not_run_yet_count_for_holm() -> None:
    declared = study(("ours", "adam", "sgd"))
    found = analyze(declared, records(declared, {"ours": SIX, "adam": [0.0] * 6}))
    adam, sgd = found.paired_tests
    assert (adam.p, adam.p_holm, adam.verdict) == (2 / 64, 4 / 64, "undecided")
    assert adam.note == "needs at least 7 seeds, has 6"
    assert (sgd.p, sgd.p_holm, sgd.verdict, sgd.note) == (
        None,
        None,
        "undecided",
        "tuning is not finished",
    )


def test_one_seed_has_a_mean_without_an_interval() -> None:
    found = compared([3.0], [2.0])
    assert found.baseline.mean is not None
    assert (found.baseline.mean.mean, found.baseline.mean.half_width) == (3.0, None)
    assert (only_pairing(found).p, only_pairing(found).verdict) == (1.0, "undecided")


def test_a_diverged_seed_is_worse_than_any_number() -> None:
    found = compared([*SIX], [*[x + 0.1 for x in SIX[:5]], "diverged"])
    adam = found.summary("adam")
    assert adam.mean is not None
    assert (adam.n_diverged, adam.n_finished, adam.mean.n) == (1, 6, 5)
    # Its survivors are better on average than ours, and still it ranks last.
    assert (found.baseline.rank, adam.rank) == (1, 2)
    paired = only_pairing(found)
    assert (paired.ranked, paired.n, paired.n_finite) == (True, 6, 5)
    # Signed ranks −3 ×5 (ties of 1..5) and +6: |−9| or more are 21, 15, 9 …; not decided.
    assert paired.verdict == "undecided"
    assert any("1 of 6 with Adam" in sentence for sentence in found.sentences)


def test_an_optimizer_that_always_diverges_is_beaten() -> None:
    found = compared([*SIX], ["diverged"] * 6)
    paired = only_pairing(found)
    assert (paired.p, paired.verdict, paired.difference) == (2 / 64, "better", None)
    assert found.summary("adam").mean is None
    assert found.summary("adam").rank == 2


def test_a_subject_that_always_diverges_is_worse() -> None:
    assert only_pairing(compared(["diverged"] * 6, [*SIX])).verdict == "worse"


def test_when_both_diverge_neither_is_ahead() -> None:
    paired = only_pairing(compared(["diverged"] * 6, ["diverged"] * 6))
    assert (paired.p, paired.verdict, paired.n) == (1.0, "undecided", 6)


def test_fewer_diverged_runs_rank_before_a_better_mean_of_survivors() -> None:
    found = compared([1.0, 1.0, "diverged"], [9.0, "diverged", "diverged"])
    assert [one.optimizer.name for one in found.ranking] == ["ours", "adam"]


def test_a_failed_run_is_left_out_of_pairs_and_counted() -> None:
    found = compared([*SIX], [*[x - 1 for x in SIX[:5]], "failed"])
    adam = found.summary("adam")
    assert (adam.count("failed"), adam.n_diverged, adam.n_finished) == (1, 0, 6)
    assert (only_pairing(found).n, only_pairing(found).ranked) == (5, False)
    assert any("failed" in sentence for sentence in found.sentences)


@pytest.mark.parametrize("value", [None, float("inf"), float("nan"), -1e200])
def test_a_metric_that_is_not_finite_at_the_end_is_a_divergence(value: float | None) -> None:
    declared = study(seeds=1)
    found = records(declared, {"ours": [1.0], "adam": [1.0]})
    found[-1] = record(found[-1].run, 1.0, last={"score": value, "other": 1.0})
    adam = analyze(declared, found).summary("adam")
    assert (adam.n_diverged, adam.mean) == (1, None)


def test_pairs_are_over_common_seeds_only() -> None:
    found = compared([1.0, 2.0, None, 4.0], [0.0, None, 0.0, 3.0])
    paired = only_pairing(found)
    assert paired.n == 2
    assert paired.difference is not None
    assert paired.difference.mean == 1.0  # seeds 0 and 3
    assert not found.complete
    assert (found.n_finished, found.n_planned) == (12, 14)
    assert "12 of 14 runs" in found.headline


def test_a_study_without_records_says_so() -> None:
    found = analyze(study(), [])
    assert found.headline == "Nothing has finished yet: 0 of 18 runs."
    assert [one.rank for one in found.summaries] == [None, None]
    assert {run.state for run in found.baseline.trials} == {"pending"}
    assert found.baseline.chosen is None


def test_nothing_is_chosen_before_all_trials_are_finished() -> None:
    declared = study()
    found = analyze(declared, tuned(declared, "ours", [1.0, 2.0, None]))
    assert found.baseline.chosen is None
    assert [run.value for run in found.baseline.trials] == [1.0, 2.0, None]
    assert not found.baseline.untunable


@pytest.mark.parametrize(
    ("ends", "edge", "lr"),
    [
        ([3.0, 2.0, 1.0], "lr low", 1e-4),
        ([1.0, 2.0, 3.0], "lr high", 1e-2),
        ([1.0, 3.0, 2.0], "", 1e-3),
    ],
)
def test_a_winner_at_the_end_of_its_range_is_flagged(ends: list[End], edge: str, lr: float) -> None:
    declared = study()
    summary = analyze(declared, tuned(declared, "ours", ends)).baseline
    assert summary.edge == edge
    assert summary.chosen == {"lr": lr}
    assert next(run.lr for run in summary.trials if run.key == summary.chosen_key) == lr


def test_a_single_trial_has_no_edge() -> None:
    declared = study(trials=1)
    assert analyze(declared, tuned(declared, "ours", [3.0])).baseline.edge == ""


def test_an_optimizer_without_a_good_trial_has_no_final_runs_to_wait_for() -> None:
    declared = study()
    lost = tuned(declared, "adam", ["diverged", "diverged", "failed"])
    found = analyze(declared, [*records(declared, {"ours": SIX}), *lost])
    assert found.summary("adam").untunable
    assert (found.complete, found.n_planned) == (True, 12)
    assert only_pairing(found).note == "no trial of Adam ended well"
    assert only_pairing(found).verdict == "undecided"


def test_the_best_over_training_is_kept_apart_from_the_last_value() -> None:
    found = compared([*SIX], [*SIX])
    assert found.baseline.mean is not None
    assert found.baseline.best is not None
    assert found.baseline.best.mean == found.baseline.mean.mean + 1
    lower = compared([*SIX], [*SIX], direction="min").baseline
    assert lower.best is not None
    assert lower.mean is not None
    assert lower.best.mean == lower.mean.mean


def test_equal_means_share_a_rank() -> None:
    found = compared([1.0, 2.0], [2.0, 1.0])
    assert [one.rank for one in found.summaries] == [1, 1]


def test_curves_are_means_and_ranges_by_step() -> None:
    curve = compared([1.0, 3.0, "diverged"], [1.0, 1.0, 1.0]).baseline.metric
    assert curve is not None
    assert curve.steps == (10, 20)
    assert (curve.mean, curve.low, curve.high) == ((3.0, 2.0), (2.0, 1.0), (4.0, 3.0))
    assert (curve.n_runs, curve.n_finished) == (2, 3)


def test_a_step_that_not_all_survivors_reached_is_not_drawn() -> None:
    declared = study(seeds=2)
    found = records(declared, {"ours": [1.0, 3.0]})
    short = RunRecord(found[-1].run, found[-1].result, found[-1].rows[:2])
    curve = analyze(declared, [*found[:-1], short]).baseline.metric
    assert curve is not None
    assert curve.steps == (10,)


def test_values_that_are_not_finite_are_not_in_a_curve() -> None:
    declared = study(seeds=1)
    found = records(declared, {"ours": [1.0]})
    rows = [{"step": 10, "split": "train", "loss": None}, *found[-1].rows[2:]]
    loss = analyze(declared, [*found[:-1], RunRecord(found[-1].run, found[-1].result, rows)])
    assert loss.baseline.loss is not None
    assert loss.baseline.loss.steps == (20,)


def test_records_of_another_study_are_ignored() -> None:
    declared, other = study(seeds=2), study(seeds=2, workload="other")
    foreign = records(other, {"ours": [9.0, 9.0], "adam": [0.0, 0.0]})
    assert analyze(declared, foreign) == analyze(declared, [])


def test_mixed_environments_are_counted() -> None:
    declared = study(seeds=1)
    found = records(declared, {"ours": [1.0]})
    for index, torch in enumerate(["2.14", "2.14", "2.13", "2.14"]):
        found[index] = record(found[index].run, float(index == 1), environment={"torch": torch})
    assert analyze(declared, found).environments == (({"torch": "2.14"}, 3), ({"torch": "2.13"}, 1))


def test_another_commit_is_no_other_environment() -> None:
    """A commit may change a page of documentation; code that changed is refused by the folder."""
    declared = study(seeds=1)
    found = records(declared, {"ours": [1.0]})
    for index, commit in enumerate(["a", "a", "b-dirty", ""]):
        environment = {"torch": "2.14"} | ({"commit": commit} if commit else {})
        found[index] = record(found[index].run, float(index == 1), environment=environment)
    ((facts, count),) = analyze(declared, found).environments
    assert (facts, count) == ({"torch": "2.14", "commit": "a, b-dirty"}, 4)


def test_the_words_never_claim_more_than_the_verdict() -> None:
    declared = study(("ours", "adam"), optimizers=(spec("ours"), spec("adam")))
    found = analyze(declared, records(declared, {"ours": SIX, "adam": [0.0] * 5 + [99.0]}))
    text = " ".join([found.headline, *found.sentences]).lower()
    assert only_pairing(found).verdict == "undecided"
    for word in ("better than", "worse than", "outperform", "beats", "wins"):
        assert word not in text


def test_tuning_values_never_reach_the_final_ones() -> None:
    declared = study(seeds=1)
    found = [*tuned(declared, "ours", [0.0, 50.0, 0.0]), *final(declared, "ours", 1e-3, [2.0])]
    summary = analyze(declared, found).baseline
    assert summary.mean is not None
    assert summary.mean.mean == 2.0
    assert summary.metric is not None
    assert max(summary.metric.high) == 3.0
