"""The study of training with small state: its workloads, controls, verdicts, and its page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.small_state import controls, page, study, updates, workloads
from benchmarks.small_state.verdict import judge

from adabelief import AdaBelief
from adabelief_lab.bench.harness import json_text
from adabelief_lab.common.errors import LabError
from adabelief_lab.declare.search_space import LogRange
from adabelief_lab.declare.workload import Workload
from adabelief_lab.run.validate import dry_run
from adabelief_lab.tasks.causal_lm import windows
from paths import ROOT

NAMES = study.WORKLOADS


@pytest.fixture(scope="module", autouse=True)
def without_streams() -> Iterator[None]:
    yield
    workloads.word_streams.cache_clear()


def workload(name: str) -> Workload:
    found: Workload = getattr(workloads, name)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_workloads_keep_the_contract(name: str) -> None:
    found = workload(name)
    dry_run(found, found.presets["smoke"])
    assert found.presets["study"].seeds >= 5


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_order_follow_from_their_own_seed(name: str) -> None:
    found = workload(name)
    preset = found.presets["smoke"]

    def built(init_seed: int, data_seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        task: Any = found.build(preset, init_seed, data_seed)
        weights = torch.cat([each.reshape(-1) for each in task.modules["model"].parameters()])
        return weights, task.batch(0)[0]

    torch.manual_seed(0)
    before = torch.get_rng_state()
    weights, batch = built(1, 2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    again, other_batch = built(1, 3)
    assert torch.equal(again, weights)
    assert not torch.equal(other_batch, batch)
    other, same_batch = built(4, 2)
    assert not torch.equal(other, weights)
    assert torch.equal(same_batch, batch)


def test_windows_follow_each_other_and_targets_are_one_token_later() -> None:
    inputs, targets = windows(torch.arange(14), 4)
    assert inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert torch.equal(targets, inputs + 1)
    assert len(windows(torch.arange(12), 4)[0]) == 2  # the last has no target
    assert len(windows(torch.arange(14), 4, 2)[0]) == 2


def test_words_are_numbered_by_frequency_in_the_train_split() -> None:
    streams = workloads.word_streams(30)
    counts = torch.bincount(streams["train"], minlength=30)
    assert (counts[1:-1] >= counts[2:]).all()
    assert counts[1] == max(counts[1:].tolist())  # 0 stands for all words that are rare
    assert counts[0] > counts[1]
    assert all(int(stream.max()) < 30 for stream in streams.values())


def test_words_of_an_address() -> None:
    found = list(workloads._ended(["The Nation's 1,234 ships, and 3.", "A-b"]))
    assert found == ["the", "nation's", "N", "ships", "and", "N", "<eos>", "a", "b", "<eos>"]


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_language_models_do_not_look_ahead(name: str) -> None:
    found = workload(name)
    task: Any = found.build(found.presets["smoke"], 1, 2)
    inputs = task.batch(0)[0]
    changed = inputs.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 50
    with torch.no_grad():
        before, after = (task.modules["model"](tokens) for tokens in (inputs, changed))
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_the_control_rounds_s_to_equal_steps_of_its_block() -> None:
    s = torch.zeros(300)
    s[:3] = torch.tensor([255.0, 1.4, 0.4])  # one step is 1
    s[256:258] = torch.tensor([0.255, 0.0014])
    rounded = controls.Linear8bit([torch.zeros(1)]).rounded(s.view(3, 100)).view(-1)
    assert rounded[:3].tolist() == [255.0, 1.0, 0.0]
    torch.testing.assert_close(rounded[256:258], torch.tensor([0.255, 0.001]))
    assert torch.count_nonzero(rounded) == 4


def test_controls_round_the_state_after_the_step() -> None:
    grad = torch.randn(600, generator=torch.Generator().manual_seed(0))
    wide, near, linear = (
        cls([torch.zeros(600, requires_grad=True)], lr=1e-3)
        for cls in (AdaBelief, controls.NearestBfloat16, controls.Linear8bit)
    )
    for optimizer in (wide, near, linear):
        (param,) = optimizer.param_groups[0]["params"]
        param.grad = grad.clone()
        optimizer.step()
    exact, nearest, steps = (each.state[each.param_groups[0]["params"][0]]
                             for each in (wide, near, linear))  # fmt: skip
    assert torch.equal(nearest["exp_avg"], exact["exp_avg"].bfloat16().float())
    assert torch.equal(nearest["exp_avg_var"], exact["exp_avg_var"].bfloat16().float())
    assert not torch.equal(nearest["exp_avg_var"], exact["exp_avg_var"])
    assert torch.equal(steps["exp_avg"], nearest["exp_avg"])
    block = exact["exp_avg_var"][:256]
    error = (steps["exp_avg_var"][:256] - block).abs().max()
    assert block.max() / 1000 < error <= block.max() / 510 * 1.0001
    assert len(steps["exp_avg_var"][:256].unique()) < 200


def test_to_nearest_no_s_falls() -> None:
    """What docs/small_state.md says of bfloat16 and β₂ = 0.999, for all that are not subnormal."""
    bits = torch.arange(0x0080, 0x7F80, dtype=torch.int32).to(torch.int16)
    s = bits.view(torch.bfloat16)
    assert torch.equal((0.999 * s.float()).bfloat16(), s)


WIDE = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]  # σ = 0.187


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        ([0.0] * 6, "within seed noise, bounded"),
        ([0.05, 0.05, 0.06, 0.05, 0.06, 0.05], "within seed noise, bounded"),
        ([-0.05, -0.05, -0.06, -0.05, -0.06, -0.05], "within seed noise, bounded"),
        ([0.3, -0.2, 0.3, -0.2, 0.3, 0.1], "within seed noise"),
        ([-0.3, 0.2, -0.3, 0.2, -0.3, -0.1], "within seed noise"),
        ([0.2, 0.2, 0.2, 0.2, 0.2, 0.21], "outside"),
        ([-0.2, -0.2, -0.2, -0.2, -0.2, -0.21], "outside"),
    ],
)
def test_verdicts(shifts: list[float], expected: str) -> None:
    small = [loss + shift for loss, shift in zip(WIDE, shifts, strict=True)]
    found = judge(WIDE, small)
    assert found.verdict == expected
    assert found.noise == pytest.approx(math.sqrt(0.035))
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(sum(shifts) / 6)
    assert (found.n, found.diverged) == (6, 0)
    agree = len({shift > 0 for shift in shifts}) == 1 and any(shifts)
    assert (found.p == 2 / 64) == agree


@pytest.mark.parametrize("n_diverged", [1, 6])
def test_a_diverged_run_is_outside(n_diverged: int) -> None:
    small = [None] * n_diverged + WIDE[n_diverged:]
    found = judge(WIDE, small)
    assert (found.verdict, found.diverged) == ("outside", n_diverged)
    assert (found.p == 2 / 64) == (n_diverged == 6)


@pytest.mark.parametrize("small", [[1.0], [1.0] * 5])
def test_losses_come_in_pairs(small: list[float]) -> None:
    wide = WIDE if len(small) > 1 else small
    with pytest.raises(ValueError, match=f"at least 2, got {len(wide)} and {len(small)}"):
        judge(wide, small)


def test_the_study_tunes_float32_and_runs_every_format_on_its_seeds(tmp_path: Path) -> None:
    said: list[str] = []
    record = study.conduct("cnn", "smoke", tmp_path, 1, said.append)
    json_text(record)  # all of it can be written
    assert list(record["finals"]) == ["float32", "bfloat16", "8bit", "linear 8-bit"]
    assert len(said) == 2 + 4 * 2
    assert [trial["lr"] for trial in record["trials"]] == [3e-4, 0.3]
    best = min(record["trials"], key=lambda trial: trial["loss"])
    assert record["lr"] == best["lr"]
    assert all(", float32, " in line for line in said if ", tune " in line)
    assert all(f"lr {best['lr']}," in line for line in said if ", final " in line)
    assert record["seeds"] == [[1000, 2000], [1001, 2001]]
    losses = {name: [run["loss"] for run in runs] for name, runs in record["finals"].items()}
    specs = [json.loads(path.read_text()) for path in tmp_path.glob("cnn/runs/*/spec.json")]
    assert {
        (each["optimizer"], each["implementation"], each["hyperparameters"].get("state_dtype"))
        for each in specs
    } == {
        ("float32", "adabelief", None),
        ("bfloat16", "adabelief", "bfloat16"),
        ("8bit", "adabelief", "8bit"),
        ("linear 8-bit", "benchmarks.small_state.controls:Linear8bit", None),
    }
    assert losses["linear 8-bit"] != losses["float32"] != losses["8bit"]
    for name in ("bfloat16", "8bit"):
        assert losses[name] == pytest.approx(losses["float32"], rel=1e-2)
    said.clear()
    assert study.conduct("cnn", "smoke", tmp_path, 1, said.append) == record
    assert said == []  # nothing was run again


def test_a_run_that_failed_stops_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (wide, *others) = study.CANDIDATES
    broken = wide.model_copy(update={"implementation": "torch.optim:Nothing"})
    monkeypatch.setattr(study, "CANDIDATES", (broken, *others))
    with pytest.raises(LabError, match="Nothing"):
        study.conduct("cnn", "smoke", tmp_path, 1, print)


def test_a_float32_that_always_diverges_stops_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wide, *others) = study.CANDIDATES
    wild = wide.model_copy(update={"space": {"lr": LogRange(low=1e36, high=1e37)}})
    monkeypatch.setattr(study, "CANDIDATES", (wild, *others))
    with pytest.raises(LabError, match="cnn: float32 state diverged at every learning rate"):
        study.conduct("cnn", "smoke", tmp_path, 1, print)


class Twice(AdaBelief):
    """Steps twice as long."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        with torch.no_grad():
            for param in self.param_groups[0]["params"]:
                param.mul_(2)
        return loss


def test_errors_of_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    formats = {"same": (AdaBelief, {}), "twice": (Twice, {}), "up": (AdaBelief, {"maximize": True})}
    monkeypatch.setattr(updates, "FORMATS", formats)
    monkeypatch.setattr(updates, "BATCHES", {"small": 16})
    found = updates.measure(steps=4, compared=2)["errors"]["small"]
    assert found["same"] == pytest.approx({"error": 0.0, "cosine": 1.0, "norm": 1.0})
    assert found["twice"] == pytest.approx({"error": 1.0, "cosine": 1.0, "norm": 2.0})
    assert found["up"]["norm"] == pytest.approx(1.0, rel=0.1)
    assert found["up"]["cosine"] == pytest.approx(-1.0, rel=0.1)


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads((ROOT / "results" / "benchmarks" / "small_state.json").read_text())


def test_the_record_bears_out_what_the_page_says(record: dict[str, Any]) -> None:
    assert set(record["workloads"]) == set(NAMES)
    for each in record["workloads"].values():
        assert len(each["seeds"]) >= 5
        for runs in each["finals"].values():
            assert len(runs) == len(each["seeds"])
        judged = page.judgements(each)
        assert {name: found.verdict.startswith("within") for name, found in judged.items()} == {
            "bfloat16": True, "8bit": True, "linear 8-bit": False,
        }  # fmt: skip
        assert each["hyperparameters"] == {"betas": [0.9, 0.999], "eps": 1e-16,
                                           "weight_decay": 0.01}  # fmt: skip
        assert each["schedule"] == "cosine"
    for errors in record["updates"]["errors"].values():
        # To nearest, s does not follow gradients that become smaller: steps are too short.
        assert errors["bfloat16, s to nearest"]["norm"] < 0.99 < errors["bfloat16"]["norm"] < 1.01
        assert errors["bfloat16, s to nearest"]["error"] > errors["bfloat16"]["error"]
        assert errors["linear 8-bit"]["error"] > 10 * errors["8bit"]["error"]
        assert 1 < errors["8bit"]["norm"] < 1.05
    noisy = record["updates"]["errors"]["minibatch"]
    assert noisy["8bit"]["error"] > noisy["bfloat16, s to nearest"]["error"]


def test_the_record_is_of_these_workloads(record: dict[str, Any]) -> None:
    for name, each in record["workloads"].items():
        preset = workload(name).presets["study"]
        assert each["options"] == preset.options
        assert (each["steps"], len(each["seeds"])) == (preset.steps, preset.seeds)


def test_numbers_of_a_table() -> None:
    def runs(*losses: float | None) -> list[dict[str, Any]]:
        return [
            {"status": "ok", "loss": loss, "accuracy": 0.5} if loss else {"status": "diverged"}
            for loss in losses
        ]

    each = {
        "title": "Toy", "parameters": 1234, "steps": 10, "options": {"batch_size": 7},
        "machine": {"torch": "2", "processor": "slow", "threads": 1}, "lr": 0.25,
        "trials": [{"lr": 0.25, "loss": 1.0}, {"lr": 0.5, "loss": 2.0}], "seeds": [[1, 2]] * 3,
        "finals": {"float32": runs(1, 2, 3), "bfloat16": runs(1.25, 2.25, 3.25),
                   "linear 8-bit": runs(3, None, 5)},
    }  # fmt: skip
    text = page.training({"workloads": {"toy": each, "again": each}})
    lines = text.splitlines()
    assert "| Toy | 1,234 | 10 × 7 | 3 | 0.25, 0.5 | 0.25 (lowest) |" in lines
    assert (
        "- **bfloat16**: within seed noise on 2 of 2 workloads, bounded on 2; told apart from "
        "float32 (p ≤ 0.05) on 0; 0 of 6 runs diverged." in lines
    )
    assert (
        "- **linear 8-bit**: within seed noise on 0 of 2 workloads, bounded on 0; told apart from "
        "float32 (p ≤ 0.05) on 0; 2 of 6 runs diverged (the control)." in lines
    )
    assert "Toy: standard deviation of float32 over seeds σ = 1." in lines
    assert "| float32 | 2.0000 | 50.00% |  |  |  |  |" in lines
    assert (
        "| bfloat16 | 2.2500 | 50.00% | +0.25000 [+0.25000, +0.25000] | +0.25 | 0.250 "
        "| within seed noise, bounded |" in lines
    )
    assert (
        "| linear 8-bit | 4.0000 | 50.00% | +2.00000 [+2.00000, +2.00000] | +2.00 | 0.250 "
        "| outside: 1 diverged |" in lines
    )
