"""Golden cases worked by hand: each comment shows the counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import permutation_test, wilcoxon

from adabelief_lab.analysis import statistics
from adabelief_lab.analysis.statistics import (
    holm,
    paired_test,
    seeds_needed,
    sign_flip_p,
    signed_ranks,
    smallest_p,
    t_interval,
    t_quantile,
)


@pytest.mark.parametrize(
    ("dof", "expected"),
    # Any textbook's table of t, two-sided 5 %.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042)],
)
def test_t_quantiles_are_those_of_the_textbook(dof: int, expected: float) -> None:
    assert round(t_quantile(0.975, dof), 3) == expected


def test_t_quantiles_equal_the_closed_forms_of_one_and_two_degrees_of_freedom() -> None:
    for p in (0.6, 0.9, 0.975, 0.995):
        # dof 1 is Cauchy: tan(π(p − 1/2)); dof 2: (2p − 1) sqrt(2 / (4p(1 − p)))
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-12)
        two = (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
        assert t_quantile(p, 2) == pytest.approx(two, rel=1e-12)


def test_t_quantiles_are_antisymmetric_and_zero_at_the_median() -> None:
    assert t_quantile(0.1, 7) == -t_quantile(0.9, 7)
    assert t_quantile(0.5, 7) == pytest.approx(0.0, abs=1e-12)


def test_t_quantile_approaches_the_normal_one() -> None:
    assert t_quantile(0.975, 100_000) == pytest.approx(1.959964, abs=5e-5)


# Of 0.6, 0.9, 0.975, 0.995 and 0.1, by bisection of the finite sum for whole degrees of freedom
# (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4), which this laboratory had before.
QUANTILES = {
    1: (
        0.3249196962329062,
        3.077683537175253,
        12.706204736174696,
        63.65674116286989,
        -3.077683537175253,
    ),
    2: (
        0.2886751345948128,
        1.8856180831641272,
        4.302652729749458,
        9.924843200918268,
        -1.8856180831641272,
    ),
    3: (
        0.2766706623326899,
        1.6377443536962093,
        3.182446305283707,
        5.8409093097333225,
        -1.6377443536962093,
    ),
    4: (
        0.27072229470759746,
        1.5332062740589438,
        2.776445105197791,
        4.604094871349981,
        -1.5332062740589438,
    ),
    5: (
        0.267180865704145,
        1.47588404882448,
        2.570581835636314,
        4.032142983555212,
        -1.47588404882448,
    ),
    7: (
        0.2631668613520228,
        1.4149239276505086,
        2.364624251592783,
        3.4994832973504812,
        -1.4149239276505086,
    ),
    9: (
        0.26095533647391095,
        1.383028738396632,
        2.2621571627982044,
        3.249835541592118,
        -1.383028738396632,
    ),
    14: (
        0.2582126538890587,
        1.3450303744546508,
        2.1447866879178026,
        2.9768427343708286,
        -1.3450303744546508,
    ),
    29: (
        0.2556836345712559,
        1.3114336473015509,
        2.0452296421327043,
        2.7563859036705898,
        -1.3114336473015509,
    ),
    63: (
        0.254419631247703,
        1.295134293782889,
        1.9983405425207392,
        2.6561450250998373,
        -1.295134293782889,
    ),
    199: (
        0.2536860753817728,
        1.2858202092594104,
        1.9719565442517475,
        2.6007602160585326,
        -1.2858202092594104,
    ),
}


@pytest.mark.parametrize("dof", QUANTILES)
def test_t_quantiles_are_those_of_the_finite_sum(dof: int) -> None:
    found = [t_quantile(p, dof) for p in (0.6, 0.9, 0.975, 0.995, 0.1)]
    assert found == pytest.approx(QUANTILES[dof], rel=2e-13)


@pytest.mark.parametrize(("p", "dof"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_t_quantile_refuses_what_has_no_quantile(p: float, dof: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        t_quantile(p, dof)


def test_interval_of_three_values_by_hand() -> None:
    # mean 2, s = 1, half-width 4.302653 / sqrt(3) = 2.484138
    interval = t_interval([1.0, 2.0, 3.0])
    assert (interval.mean, interval.n) == (2.0, 3)
    assert interval.half_width == pytest.approx(2.484138, abs=1e-6)
    assert interval.low == pytest.approx(-0.484138, abs=1e-6)
    assert interval.high == pytest.approx(4.484138, abs=1e-6)


def test_interval_of_one_value_has_no_width() -> None:
    interval = t_interval([0.7])
    assert (interval.mean, interval.half_width, interval.low, interval.high) == (
        0.7,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("values", [[], [1.0, math.inf], [math.nan]])
def test_no_interval_without_finite_values(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        t_interval(values)


@pytest.mark.parametrize("n", range(1, 9))
def test_agreeing_signs_reach_the_smallest_p(n: int) -> None:
    # Only + + ... + and − − ... − are as extreme: 2 of 2^n.
    differences = [1.0 + 0.1 * i for i in range(n)]
    assert sign_flip_p(differences) == smallest_p(n) == 2 / 2**n


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        # sums ±3, ±1 ×3 each; |Σ| = 1: all 8 are at least 1
        ([1.0, 1.0, -1.0], 1.0),
        # |Σ| = 4; |1 ± 2 ± 3 ± 2| = 8, 4, 2, 2, 4, 0, 2, 6: 4 of 8 are at least 4
        ([1.0, 2.0, 3.0, -2.0], 0.5),
        # |Σ| = 8; |4 ± 3 ± 2 ± 1| = 10, 8, 6, 4, 4, 2, 0, 2: 2 of 8 are at least 8
        ([4.0, 3.0, 2.0, -1.0], 0.25),
        # |Σ| = 9: 10 − 1; sums 11, 9 and their negatives are all 4
        ([10.0, -1.0], 1.0),
        # a zero has no sign: 2 of 4 patterns of the others, each twice
        ([1.0, 2.0, 0.0], 0.5),
    ],
)
def test_p_values_by_hand(differences: list[float], p: float) -> None:
    assert sign_flip_p(differences) == p


def test_no_difference_at_all_gives_p_one() -> None:
    assert sign_flip_p([0.0] * 6) == 1.0
    assert paired_test([0.0] * 6).sign == 0


def test_equal_statistics_that_differ_by_rounding_are_counted_as_equal() -> None:
    # 0.1 + 0.2 − 0.3 is 5.6e-17: in real numbers it is 0, and every pattern is as extreme.
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    # In tenths and in units the same pattern must be counted: 28 of 32 sums are at least 4.
    # Without a tolerance the tenths give 26 of 32.
    units = [8.0, -4.0, 6.0, 3.0, -9.0]
    assert sign_flip_p(units) == sign_flip_p([0.1 * x for x in units]) == 28 / 32


def test_p_does_not_depend_on_sign_scale_or_order() -> None:
    differences = np.array([0.3, -0.1, 0.25, 0.7, 0.02, -0.4])
    p = sign_flip_p(differences)
    assert 0 < p < 1
    assert sign_flip_p(-differences) == p
    assert sign_flip_p(1024 * differences) == p
    assert sign_flip_p(differences[::-1]) == p


def test_monte_carlo_agrees_with_the_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(3).normal(0.4, 1.0, size=12)
    exact = sign_flip_p(differences)
    monkeypatch.setattr(statistics, "MAX_ENUMERATED", 5)
    monkeypatch.setattr(statistics, "MONTE_CARLO_DRAWS", 20_000)
    estimate = sign_flip_p(differences)
    assert estimate == sign_flip_p(differences), "it is seeded"
    assert estimate != exact
    # five standard errors
    assert estimate == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 20_000))


def test_monte_carlo_never_reports_zero() -> None:
    # All 25 agree: the exact p is 2^-24, no random pattern is as extreme; (0 + 1) / (99 999 + 1).
    assert sign_flip_p([1.0] * 25) == 1e-5


def test_signed_ranks_share_ties_and_skip_zeros() -> None:
    # |d| sorted: 0, 1, 1, 3, ∞, ∞ → ranks 1, 2.5, 2.5, 4, 5.5, 5.5; the zero then counts nothing
    ranks = signed_ranks([3.0, -1.0, math.inf, 0.0, -math.inf, 1.0])
    assert ranks.tolist() == [4.0, -2.5, 5.5, 0.0, -5.5, 2.5]


def test_ties_by_rounding_share_their_rank() -> None:
    assert signed_ranks([0.81 - 0.80, 0.71 - 0.70, 0.02]).tolist() == [1.5, 1.5, 3.0]


def test_an_infinite_difference_is_tested_by_signed_ranks() -> None:
    # ranks 1, 2, 3 all positive: 2 of 8
    test = paired_test([0.1, math.inf, 0.2])
    assert (test.p, test.sign, test.n, test.ranked) == (0.25, 1, 3, True)
    # ranks −1, −2, +3: Σ = 0, every pattern is as extreme
    test = paired_test([-0.1, math.inf, -0.2])
    assert (test.p, test.sign) == (1.0, 0)


def test_finite_differences_are_tested_as_they_are() -> None:
    # |−9 + 1 + 1| = 7; |9 ± 1 ± 1| = 11, 9, 9, 7: all are at least 7. By ranks: −3 + 1.5 + 1.5 = 0.
    test = paired_test([-9.0, 1.0, 1.0])
    assert (test.p, test.sign, test.ranked) == (1.0, -1, False)


@pytest.mark.parametrize(
    ("comparisons", "needed"),
    # 2^(1−n) k ≤ 0.05: k=1: 1/32; k=2: 2/64; k=3: 3/64 = .047; k=4: 4/128; k=6: 6/128 = .0469;
    # k=7: 7/128 = .0547 is too much, 7/256.
    [(1, 6), (2, 7), (3, 7), (4, 8), (6, 8), (7, 9)],
)
def test_seeds_needed_by_hand(comparisons: int, needed: int) -> None:
    assert seeds_needed(comparisons) == needed
    assert max(holm([smallest_p(needed)] * comparisons)) <= 0.05
    assert min(holm([smallest_p(needed - 1)] * comparisons)) > 0.05


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 → ×4 ×3 ×2 ×1 = .04 .06 .06 .04 → running maximum .04 .06 .06 .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_never_exceeds_one_and_leaves_a_single_p_alone() -> None:
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_random_patterns_are_the_same_however_many_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    differences = np.random.default_rng(5).normal(0.3, 1.0, size=31)
    p = sign_flip_p(differences)
    monkeypatch.setattr(statistics, "BLOCK", statistics.MONTE_CARLO_DRAWS)
    assert sign_flip_p(differences) == p


# p and sign of drawn cases: as they are, rounded so that sums tie, and with an infinite difference
# and a zero. Up to 20 pairs all patterns are counted; beyond, p is that of seeded draws.
DRAWN = [
    (2, "plain", 1.0, -1),
    (2, "ties", 1.0, -1),
    (2, "diverged", 1.0, 1),
    (3, "plain", 0.5, -1),
    (3, "ties", 0.5, -1),
    (3, "diverged", 0.5, 1),
    (5, "plain", 0.25, 1),
    (5, "ties", 0.375, 1),
    (5, "diverged", 0.25, 1),
    (6, "plain", 0.125, 1),
    (6, "ties", 0.125, 1),
    (6, "diverged", 0.25, 1),
    (8, "plain", 0.359375, 1),
    (8, "ties", 0.375, 1),
    (8, "diverged", 0.21875, 1),
    (10, "plain", 0.453125, 1),
    (10, "ties", 0.484375, 1),
    (10, "diverged", 0.19140625, 1),
    (12, "plain", 0.5634765625, 1),
    (12, "ties", 0.576171875, 1),
    (12, "diverged", 0.2919921875, 1),
    (13, "plain", 0.15869140625, 1),
    (13, "ties", 0.16845703125, 1),
    (13, "diverged", 0.1142578125, 1),
    (16, "plain", 0.01416015625, 1),
    (16, "ties", 0.016754150390625, 1),
    (16, "diverged", 0.0089111328125, 1),
    (20, "plain", 0.10423469543457031, 1),
    (20, "ties", 0.1076507568359375, 1),
    (20, "diverged", 0.2647247314453125, 1),
    (21, "plain", 0.72198, -1),
    (21, "ties", 0.71769, -1),
    (21, "diverged", 0.10029, -1),
    (25, "plain", 0.21114, 1),
    (25, "ties", 0.20138, 1),
    (25, "diverged", 0.04306, 1),
    (30, "plain", 0.0127, 1),
    (30, "ties", 0.01259, 1),
    (30, "diverged", 0.001, 1),
]


@pytest.mark.parametrize(("n", "kind", "p", "sign"), DRAWN)
def test_p_values_stay_what_they_were(n: int, kind: str, p: float, sign: int) -> None:
    differences = np.random.default_rng(1000 + n).normal(0.5, 1, n)
    if kind != "plain":
        differences = np.round(differences, 1)
    if kind == "diverged":
        differences[[0, -1]] = math.inf, 0.0
    test = paired_test(differences)
    assert (test.p, test.sign, test.ranked) == (p, sign, kind == "diverged")


@pytest.mark.parametrize("n", range(2, 11))
def test_without_ties_scipy_counts_the_same(n: int) -> None:
    """With ties its signed-rank test does not: see docs/decisions.md."""
    differences = np.random.default_rng(n).normal(0.5, 1, n)
    flips = permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(differences) == pytest.approx(flips.pvalue, rel=1e-15)
    ranked = wilcoxon(differences, method="exact")
    assert sign_flip_p(signed_ranks(differences)) == pytest.approx(ranked.pvalue, rel=1e-15)
