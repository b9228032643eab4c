"""Figure 3: paths against the reference, arrivals and verdicts on cases known by hand."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adabelief.reference import Array, adabelief, initial
from adabelief_lab.paper.closed_form_moments import EPS
from adabelief_lab.paper.exhibit import Claim
from adabelief_lab.paper.figure3.fig3 import FIG3, draw, findings
from adabelief_lab.paper.figure3.landscapes import LANDSCAPES, Landscape
from adabelief_lab.paper.figure3.race import RADII, Race, ahead, fastest, races
from adabelief_lab.paper.figure3.race_claims import claims, heading, verdict
from adabelief_lab.paper.figure3.race_tables import steps_text, tables
from adabelief_lab.paper.figure3.trajectories import LR, OPTIMIZERS, Arrivals, run
from adabelief_lab.paper.record import make

NEVER = np.inf
BY_NAME = {each.name: each for each in LANDSCAPES}


def name_of(landscape: Landscape) -> str:
    return landscape.name


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=name_of)
def test_gradients_are_those_of_the_losses_and_the_optimum_is_one(landscape: Landscape) -> None:
    points = torch.tensor(landscape.grid(6), requires_grad=True)
    loss = landscape.loss(*points.unbind(1))
    (expected,) = torch.autograd.grad(loss.sum(), points)
    found = np.stack(landscape.grad(*points.detach().numpy().T), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    best = np.array(landscape.optimum)
    assert landscape.loss(*best) == 0
    assert np.all(np.array(landscape.grad(*best)) == 0)
    assert loss.min() > 0


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=name_of)
def test_adabelief_goes_as_the_reference_goes(landscape: Landscape) -> None:
    """To rounding: 300 steps of some 4 roundings of numbers below 10, 2⁻⁵³ each, are 1e-12."""
    starts = np.concatenate([[start.point for start in landscape.starts], landscape.grid(3)])
    (found,) = run([landscape], [starts], np.arange(301), RADII)
    state = initial(starts)
    for step in range(301):
        np.testing.assert_allclose(found.path[0, step], state.param, rtol=0, atol=1e-12)
        grad = np.stack(landscape.grad(*state.param.T), axis=1)
        state = adabelief(state, grad, LR, landscape.betas, EPS)


def test_the_others_take_the_first_step_of_their_papers() -> None:
    landscape = BY_NAME["l1_scaled"]
    (found,) = run([landscape], [np.array([[1.0, 1.0]])], np.arange(3), RADII)
    moved = dict(zip(OPTIMIZERS, found.path[:, 0, 0] - found.path[:, 1, 0], strict=True))
    grad = np.array([0.1, 1.0])
    np.testing.assert_allclose(moved["SGD"], 1e-3 * grad)
    np.testing.assert_allclose(moved["SGD (EMA)"], 1e-4 * grad)
    np.testing.assert_allclose(moved["Adam"], 1e-3 * grad / (grad + EPS))
    floor = EPS / 1e-3  # ε / (1 − β₂)
    np.testing.assert_allclose(moved["EAdam"], 1e-3 * grad / (np.sqrt(grad**2 + floor) + EPS))
    # m = 0.1 g, so that the residual is 0.9 g.
    np.testing.assert_allclose(
        moved["AdaBelief"], 1e-3 * grad / (np.sqrt((0.9 * grad) ** 2 + floor) + EPS)
    )
    second = found.path[OPTIMIZERS.index("SGD"), 1, 0] - found.path[OPTIMIZERS.index("SGD"), 2, 0]
    np.testing.assert_allclose(second, 1.9e-3 * grad)


def test_landscapes_of_one_run_have_equal_betas() -> None:
    two = [BY_NAME["l1"], BY_NAME["l1_scaled_low_betas"]]
    with pytest.raises(ValueError, match=r"equal betas, got \[\(0.9, 0.999\), \(0.3, 0.3\)\]"):
        run(two, [each.grid(1) for each in two], np.arange(2), RADII)


def test_arrivals() -> None:
    seen = Arrivals((6,), 1.0)
    distances = [
        [0.5, 2.0, 2.0, 2.0, 2.0, 2.0],
        [0.5, 1.0, 0.5, 2.0, 0.5, 0.5],
        [0.5, 0.5, 2.0, 2.0, 2.0, np.nan],
        [0.5, 0.5, 0.5, 2.0, 2.0, np.nan],
    ]
    for step, distance in enumerate(distances):
        seen.see(step, np.array(distance))
    assert seen.first.tolist() == [0, 1, 1, NEVER, 1, 1]
    assert seen.stays.tolist() == [0, 1, 3, NEVER, NEVER, NEVER]


def test_who_is_fastest() -> None:
    steps = np.full((len(OPTIMIZERS), 4), NEVER)
    at = {name: i for i, name in enumerate(OPTIMIZERS)}
    steps[at["AdaBelief"]] = [10, 10, 10, NEVER]
    steps[at["Adam"]] = [11, 10, NEVER, NEVER]
    steps[at["SGD"], 2] = 9
    assert fastest(steps)[at["AdaBelief"]].tolist() == [True, True, False, False]
    assert fastest(steps).sum(axis=0).tolist() == [1, 2, 1, 0]
    assert ahead(steps, ("Adam",)).tolist() == [True, True, True, False]


def test_verdicts_and_texts() -> None:
    assert verdict([True, True]) == "holds"
    assert verdict([True, False]) == "holds in part"
    assert verdict([False, False]) == "does not hold"
    assert [steps_text(1234.0), steps_text(NEVER), steps_text(NEVER, 7.0)] == [
        "1,234", "never", "diverged at 7",
    ]  # fmt: skip


def made_up(name: str, **steps: float) -> Race:
    """A race with these steps until arrival, by radius and start the same; others never arrive."""
    landscape = BY_NAME[name]
    found = np.array(
        [float(steps.get("EMA" if each == "SGD (EMA)" else each, NEVER)) for each in OPTIMIZERS]
    )
    shown = np.repeat(found[:, None], len(landscape.starts), axis=1)
    by_radius = dict.fromkeys(RADII, shown)
    grid = np.repeat(found[:, None], 4, axis=1)
    path = np.ones((len(OPTIMIZERS), 2, len(landscape.starts), 2))
    path[:, 1] = 0.5
    return Race(landscape, path, by_radius, by_radius, np.full_like(shown, NEVER),
                dict.fromkeys(RADII, grid), np.full_like(grid, NEVER))  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ({"AdaBelief": 1, "Adam": 3, "SGD": 2, "EMA": 4, "EAdam": 3}, ("holds",) * 3),
        (
            {"AdaBelief": 2, "Adam": 3, "SGD": 1, "EMA": 4, "EAdam": 1},
            ("holds in part", "holds in part", "does not hold"),
        ),
        (
            {"AdaBelief": 3, "Adam": 2, "SGD": 1, "EMA": 4, "EAdam": 4},
            ("does not hold", "does not hold", "holds"),
        ),
    ],
)
def test_claims_follow_the_numbers(steps: dict[str, float], expected: tuple[str, ...]) -> None:
    """The panel's, the grid's and the control's."""
    found = claims([made_up("beale", **steps)])
    assert tuple(claim.verdict for claim in found) == expected
    assert "from (1.0, 1.0): AdaBelief" in found[0].measured


def test_a_share_below_nearly_all_is_not_all() -> None:
    race = made_up("beale", AdaBelief=1, Adam=3, SGD=2, EMA=4, EAdam=3)
    grid = race.grid_stays[RADII[0]].copy()
    grid[OPTIMIZERS.index("SGD"), 0] = 0
    grid[:, 1] = NEVER  # does not count
    found = claims([replace(race, grid_stays={**race.grid_stays, RADII[0]: grid})])
    assert found[1].verdict == "holds in part"
    assert "67% against SGD, Adam (within 0.01)" in found[1].measured


def turned(way: Array) -> Claim:
    race = made_up("l1_scaled_low_betas", AdaBelief=1)
    path = race.path.copy()
    for i, name in enumerate(OPTIMIZERS):
        path[i, 1, 0] = path[i, 0, 0] - (0.4 if "Adam" in name else way)
    return claims([replace(race, path=path)])[-1]


def test_the_claim_of_panel_d_compares_angles() -> None:
    assert turned(np.array([0.05, 0.5])).verdict == "holds"
    assert turned(np.array([0.5, 0.5])).verdict == "holds in part"


def test_heading_is_that_of_the_way_in_the_first_quadrant() -> None:
    path = np.array([[1.0, -2.0], [0.9, -1.8], [0.5, -1.5], [-0.1, 0.0], [0.1, -9.0]])
    assert heading(path) == pytest.approx(45)
    assert heading(path[:2]) == pytest.approx(np.degrees(np.arctan(2)))


def test_sgd_diverges_where_others_arrive_and_the_tables_say_so() -> None:
    """Heavy ball at 1e-3 from (−4, −4): the first step is 30 long."""
    ran = races([BY_NAME["rosenbrock"]], np.arange(60), side=4)
    (race,) = ran
    sgd = OPTIMIZERS.index("SGD")
    assert np.isinf(race.lost[:, 0]).all()
    assert race.lost[sgd, 1] < 20
    assert np.isinf(np.delete(race.lost[:, 1], sgd)).all()
    shown = tables(ran)[1]
    column = shown.head.index("SGD")
    assert [row[column] for row in shown.rows] == ["never", f"diverged at {race.lost[sgd, 1]:.0f}"]
    assert json.dumps(asdict(findings(ran, np.arange(60))), allow_nan=False)


def test_everything_is_drawn_from_the_record() -> None:
    times = np.arange(40)
    data = findings(races(times=times, side=2), times).data
    drawn = {each.name: each.files for each in draw(json.loads(json.dumps(data)))}
    assert {name: tuple(files) for name, files in drawn.items()} == {
        "fig3": ("png", "pdf"),
        "fig3-surfaces": ("png", "pdf"),
        "fig3-film": ("gif", "mp4"),
        "explore": ("html",),
    }
    with Image.open(io.BytesIO(drawn["fig3-film"]["gif"])) as film:
        assert getattr(film, "n_frames", 1) > 30
        film.seek(20)
        assert len(set(film.convert("RGB").get_flattened_data())) > 100, "in colours"
    assert drawn["fig3-film"]["mp4"][4:8] == b"ftyp"


@pytest.mark.slow
def test_the_whole_exhibit(tmp_path: Path) -> None:
    record = make(FIG3, tmp_path)
    assert (tmp_path / "record.json").stat().st_size < 1_000_000
    assert (tmp_path / "fig3-film.gif").stat().st_size < 2_000_000
    by_source = {claim.source: claim.verdict for claim in record.findings.claims}
    assert len(by_source) == len(LANDSCAPES) + 3
    # On (d) both forms of SGD go at most at lr / (1 − 0.3) a step: 1.5 takes them over 1,000.
    assert by_source["figure 3, (d)"] == "holds"
