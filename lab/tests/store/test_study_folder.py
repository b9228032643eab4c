"""Run folders that are damaged, foreign or half written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from adabelief_lab.common.errors import LabError, StorageError
from adabelief_lab.common.process_group import SINGLE, ProcessGroup
from adabelief_lab.conduct.compare import declare
from adabelief_lab.declare.lr_schedule import Schedule
from adabelief_lab.declare.study import Run, Study, Wrapped
from adabelief_lab.optimizers import resolve
from adabelief_lab.run.train import execute
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload
from lab_paths import TINY


@pytest.fixture
def study() -> Study:
    return declare(load_workload(f"{TINY}:workload"), "smoke", resolve(["adabelief", "adam"]))


@pytest.fixture
def run(study: Study) -> Run:
    return study.tune_runs(study.optimizers[0])[0]


def train(folder: RunFolder, run: Run) -> str:
    return execute(folder, run, load_workload(f"{TINY}:workload").workload)


class Killed(BaseException):
    """A kill at a chosen instruction; test_resume has real ones at any."""


def interrupt(
    folder: RunFolder, run: Run, monkeypatch: pytest.MonkeyPatch, saves: int, before: bool = False
) -> None:
    """Leave the folder as a kill just after, or before, checkpoint number `saves` would.

    Just before it, metrics.jsonl is already ahead of the checkpoint.
    """
    real, done = RunFolder.save, [0]

    def save(self: RunFolder, state: dict[str, object], group: ProcessGroup = SINGLE) -> None:
        done[0] += 1
        if done[0] == saves and before:
            raise Killed
        real(self, state, group)
        if done[0] == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", save)
        with pytest.raises(Killed):
            train(folder, run)


def test_a_run_goes_on_at_its_checkpoint_with_the_same_bytes(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    train(whole, run)
    for saves, before in ((1, False), (3, True), (2, False), (1, True)):
        interrupt(parts, run, monkeypatch, saves, before)
    assert parts.step() == 18, "rows of 6 evaluations, of which 5 are in the checkpoint"
    train(parts, run)
    assert parts.metrics.read_bytes() == whole.metrics.read_bytes()
    ends = [folder.result() for folder in (whole, parts)]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[1].last == ends[0].last
    assert (ends[0].resumed, ends[1].resumed) == (0, 3), "the last was killed before a checkpoint"


@pytest.mark.parametrize("name", ["checkpoint.pt", "metrics.jsonl", "spec.json", "result.json"])
def test_a_damaged_file_is_set_aside_and_the_run_done_anew(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole, damaged = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "damaged")
    train(whole, run)
    interrupt(damaged, run, monkeypatch, 2)
    path = damaged.path / name
    torn = path.read_bytes()[: -path.stat().st_size // 2] if path.exists() else b'{"status": "o'
    path.write_bytes(torn)
    assert train(damaged, run) == name
    assert (damaged.path / "aside-1" / name).read_bytes() == torn
    assert damaged.metrics.read_bytes() == whole.metrics.read_bytes()
    assert damaged.result() is not None


def test_a_checkpoint_of_nonsense_that_unpickles_is_damage_too(tmp_path: Path, run: Run) -> None:
    folder = RunFolder(tmp_path)
    torch.save({"unrelated": 1}, folder.checkpoint)
    assert train(folder, run) == "checkpoint.pt"


def test_a_line_cut_off_is_not_a_row(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append([{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}])
    with folder.metrics.open("ab") as file:
        file.write(b'{"step": 3, "lo')
    assert [row["step"] for row in folder.rows()] == [1, 2]


def test_a_finished_run_is_not_touched(tmp_path: Path, run: Run) -> None:
    folder = RunFolder(tmp_path)
    train(folder, run)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "lock"}
    assert train(folder, run) == ""
    after = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "lock"}
    assert after == before


def test_a_nan_loss_ends_the_run_as_diverged(tmp_path: Path) -> None:
    loaded = load_workload(f"{TINY}:workload")
    study = declare(loaded, "poisoned", resolve(["adabelief"]))
    run = study.tune_runs(study.optimizers[0])[0]
    folder = RunFolder(tmp_path)
    execute(folder, run, loaded.workload)
    result = folder.result()
    assert result is not None
    assert (result.status, result.step, result.last) == ("diverged", 6, {})
    assert "nan at step 6" in result.reason
    assert [(row["step"], row["split"]) for row in folder.rows()[:2]] == [
        (4, "train"),
        (4, "valid"),
    ]
    assert {(row["step"], row["split"]) for row in folder.rows()[2:]} == {(4, "belief")}


def test_an_exception_of_the_workload_is_a_result_with_its_traceback(
    tmp_path: Path, run: Run
) -> None:
    impossible = run.model_copy(update={"hyperparameters": {"lr": 1e-3, "eps": -1.0}})
    folder = RunFolder(tmp_path)
    train(folder, impossible)
    result = folder.result()
    assert result is not None
    assert result.status == "failed"
    assert "eps must be in [0, inf), got -1.0" in result.reason
    assert "Traceback" in (tmp_path / "error.txt").read_text()


def test_an_output_folder_of_another_study_is_refused_with_the_difference(
    tmp_path: Path, study: Study
) -> None:
    Store(tmp_path).open(study)
    before = (tmp_path / "study.json").read_bytes()
    settings = study.settings.model_copy(update={"steps": 31})
    with pytest.raises(LabError, match=r"another study.*\n.*'steps': 30.*'steps': 31"):
        Store(tmp_path).open(study.model_copy(update={"settings": settings}))
    with pytest.raises(LabError, match="optimizer adam: there, not now"):
        Store(tmp_path).open(study.model_copy(update={"optimizers": study.optimizers[:1]}))
    fewer = study.settings.model_copy(update={"seeds": 1})
    with pytest.raises(LabError, match="'seeds': 2"):
        Store(tmp_path).open(study.model_copy(update={"settings": fewer}))
    assert (tmp_path / "study.json").read_bytes() == before


def test_what_a_kill_left_half_written_goes_when_the_run_goes_on(tmp_path: Path, run: Run) -> None:
    for name in ("checkpoint.pt.tmp25241", "result.json.tmp7"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.tmp").write_text("somebody's")
    train(RunFolder(tmp_path), run)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"lock", "metrics.jsonl", "notes.tmp", "result.json", "spec.json"}


def test_a_kill_in_the_very_first_write_does_not_lock_the_folder_up(
    tmp_path: Path, study: Study
) -> None:
    (tmp_path / "study.json.tmp25241").write_bytes(b"half")
    (tmp_path / "lock").touch()
    Store(tmp_path).open(study)
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "study.json"}
    assert Store(tmp_path).study() == study


def test_the_checkpoint_of_a_finished_run_goes_and_no_other(
    tmp_path: Path, study: Study, run: Run
) -> None:
    store = Store(tmp_path)
    store.open(study)
    finished, begun = store.folder(run), store.folder(study.tune_runs(study.optimizers[1])[0])
    train(finished, run)
    begun.path.mkdir()
    for folder in (finished, begun):
        folder.checkpoint.write_bytes(b"state")
    store.open(study)
    assert not finished.checkpoint.exists()
    assert begun.checkpoint.exists()


def test_a_folder_of_other_things_is_refused(tmp_path: Path, study: Study) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(LabError, match="not empty and holds no study"):
        Store(tmp_path).open(study)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_study_is_refused_and_left_alone(tmp_path: Path, study: Study) -> None:
    (tmp_path / "study.json").write_text('{"workload": ')
    with pytest.raises(LabError, match="cannot be read as a study"):
        Store(tmp_path).open(study)
    assert (tmp_path / "study.json").read_text() == '{"workload": '


def test_keys_depend_on_everything_that_makes_a_run(run: Run) -> None:
    assert run.key == Run.model_validate_json(run.model_dump_json()).key
    changes = {
        "workload": "x", "workload_hash": "x", "preset": "x", "steps": 1, "eval_every": 1,
        "schedule": Schedule(kind="constant"), "options": {"a": 1},
        "optimizer": "x", "implementation": "x",
        "hyperparameters": {"lr": 2.0}, "init_seed": 5, "data_seed": 5, "phase": "final",
        "wrappers": (Wrapped(implementation="lars", arguments={}),),
        "processes": 2, "parallel": "fsdp",
    }  # fmt: skip
    assert set(changes) == set(Run.model_fields)
    keys = {run.model_copy(update={name: value}).key for name, value in changes.items()}
    # Alone of all, "parallel" changes nothing: the run has one process.
    assert len(keys) == len(changes)
    assert keys & {run.key} == {run.model_copy(update={"parallel": "fsdp"}).key}
    together = run.model_copy(update={"processes": 2})
    assert together.model_copy(update={"parallel": "fsdp"}).key != together.key


def test_spec_and_result_are_json_for_everybody(tmp_path: Path, run: Run) -> None:
    folder = RunFolder(tmp_path)
    train(folder, run)
    spec, result = (json.loads(path.read_bytes()) for path in (folder.spec, folder.outcome))
    assert spec["hyperparameters"]["lr"] == run.hyperparameters["lr"]
    assert result["environment"]["torch"] == torch.__version__
    assert result["n_params"] == 784 * 8 + 8 + 8 * 10 + 10


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, study: Study) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/out/study\.json could not be written: Not a dir"):
        Store(tmp_path / "file" / "out").open(study)
    with pytest.raises(StorageError, match="could not be written: Not a directory"):
        train(RunFolder(tmp_path / "file" / "run"), study.tune_runs(study.optimizers[0])[0])


def test_descriptions_are_not_part_of_a_study(tmp_path: Path, study: Study) -> None:
    Store(tmp_path).open(study)
    specs = tuple(r.model_copy(update={"label": "x", "source": "y"}) for r in study.optimizers)
    Store(tmp_path).open(study.model_copy(update={"title": "x", "data": "y", "optimizers": specs}))
    defaults = study.optimizers[0].model_copy(update={"defaults": {"eps": 1.0}})
    with pytest.raises(
        LabError, match=r"optimizer adabelief: .*'eps': 1e-16.* there, .*'eps': 1\.0"
    ):
        Store(tmp_path).open(
            study.model_copy(update={"optimizers": (defaults, study.optimizers[1])})
        )
