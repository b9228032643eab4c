"""Numbers as text: units, digits, minus signs."""

from __future__ import annotations

from adabelief_lab.analysis.formatting import mean_text, p_value
from adabelief_lab.analysis.statistics import Interval
from adabelief_lab.declare.workload import Metric

ACCURACY = Metric(name="accuracy", direction="max", percent=True)
LOSS = Metric(name="loss", direction="min")


def test_mean_and_half_width_are_both_in_percent_and_have_the_digits_of_the_half_width() -> None:
    assert mean_text(Interval(0.87553, 0.002914, 8), ACCURACY) == "87.55 ± 0.29"
    assert mean_text(Interval(0.87553, 0.002914, 8), LOSS) == "0.8755 ± 0.0029"


def test_differences_carry_their_sign() -> None:
    assert mean_text(Interval(0.0046, 0.002, 8), ACCURACY, signed=True) == "+0.46 ± 0.20"
    assert mean_text(Interval(-0.0003, 0.003, 8), ACCURACY, signed=True) == "−0.03 ± 0.30"


def test_one_seed_has_no_half_width_and_nothing_is_a_dash() -> None:
    assert mean_text(Interval(0.5, None, 1), ACCURACY) == "50.00"
    assert mean_text(None, ACCURACY) == "–"


def test_small_p_values_are_not_rounded_to_zero() -> None:
    assert (p_value(0.0078125), p_value(3e-5), p_value(None)) == ("0.00781", "< 0.0001", "–")
