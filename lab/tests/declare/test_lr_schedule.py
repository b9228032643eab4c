"""Schedules of the laboratory, against values worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.workload import Preset

HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("options", "steps", "factors"),
    [
        ({"kind": "constant"}, 4, [1, 1, 1, 1]),
        # (1 + cos(π k / 4)) / 2
        ({"kind": "cosine"}, 4, [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2]),
        ({"kind": "linear"}, 4, [1, 0.75, 0.5, 0.25]),
        ({"kind": "step", "milestones": (0.5, 0.75)}, 4, [1, 1, 0.1, 0.01]),
        ({"kind": "step", "milestones": (0.3,), "gamma": 0.5}, 4, [1, 1, 0.5, 0.5]),
        # Vaswani et al.: min(t / w, 1) at its peak 1 and √(w / t) after it
        ({"kind": "rsqrt", "warmup": 2}, 8, [0.5, 1, *(math.sqrt(2 / t) for t in range(3, 9))]),
        ({"kind": "constant", "warmup": 4}, 6, [0.25, 0.5, 0.75, 1, 1, 1]),
        # after two steps of warm-up, four of cosine
        ({"kind": "cosine", "warmup": 2}, 6, [0.5, 1, 1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2]),
        ({"kind": "cosine", "warmup": 9}, 3, [1 / 9, 2 / 9, 3 / 9]),
    ],
)
def test_factors(options: dict[str, Any], steps: int, factors: list[float]) -> None:
    schedule = Schedule(**options)
    assert [schedule.factor(i, steps) for i in range(steps)] == pytest.approx(factors)


def test_a_name_is_enough() -> None:
    preset = Preset.model_validate(
        {"steps": 1, "eval_every": 1, "trials": 1, "seeds": 1, "schedule": "linear"}
    )
    assert preset.schedule == Schedule(kind="linear")
    assert Preset.model_validate_json(preset.model_dump_json()) == preset


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Schedule(kind="constant"), "a constant learning rate"),
        (
            Schedule(kind="step", milestones=(0.5, 0.75)),
            "the learning rate times 0.1 after 50%, 75% of the run",
        ),
        (
            Schedule(kind="linear", warmup=10),
            "the learning rate falling to zero on a line over the run, after a linear warm-up of "
            "10 steps",
        ),
    ],
)
def test_in_words(schedule: Schedule, text: str) -> None:
    assert str(schedule) == text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "sawtooth"}, "'constant', 'cosine', 'linear', 'step' or 'rsqrt'"),
        ({"kind": "step"}, r"milestones belong to \"step\", got 'step' with \[\]"),
        ({"kind": "cosine", "milestones": (0.5,)}, r"got 'cosine' with \[0.5\]"),
        ({"kind": "step", "milestones": (0.5, 0.5)}, r"milestones must rise, got \[0.5, 0.5\]"),
        ({"kind": "step", "milestones": (1.0,)}, "less than 1"),
        ({"kind": "rsqrt"}, "needs a warmup of 1 or more, got 0"),
        ({"kind": "cosine", "warmup": -1}, "greater than or equal to 0"),
        ({"kind": "step", "milestones": (0.5,), "gamma": 0}, "greater than 0"),
    ],
)
def test_what_is_none_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Schedule(**options)
