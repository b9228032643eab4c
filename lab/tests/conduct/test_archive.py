"""pack, unpack and verify, on a study that real processes made."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.archive import pack, unpack
from adabelief_lab.conduct.compare import results_of
from adabelief_lab.declare.study import plan
from adabelief_lab.store.study_folder import Store
from lab_paths import TINY
from processes import run

runner = CliRunner()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    ended = run(
        "compare", f"{TINY}:workload", "--preset", "smoke", "--against", "sgd",
        "--workers", "2", "--out", str(out),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return out


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def files(root: Path) -> dict[str, bytes]:
    names = ("spec.json", "metrics.jsonl", "result.json")
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.glob("runs/*/*"))
        if path.name in names
    }


def test_unpacking_gives_every_run_back_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    ended = runner.invoke(app, ["pack", str(folder)])
    archive = folder.with_name("copy.zip")
    assert ended.exit_code == 0
    assert str(archive) in ended.stdout
    runs = len(list(folder.glob("runs/*")))
    target = tmp_path / "there"
    ended = runner.invoke(app, ["unpack", str(archive), str(target)])
    assert f"{runs} runs added; 0 were already there" in ended.stdout
    assert files(target) == files(folder)
    shown = runner.invoke(app, ["status", str(target), "--json"])
    now = json.loads(shown.stdout)
    assert now["runs"] == now["total_runs"] == runs
    assert runner.invoke(app, ["unpack", str(archive), str(target)]).exit_code == 0


def test_two_halves_make_the_whole(folder: Path, finished: Path, tmp_path: Path) -> None:
    """Each machine has lost other runs; the union has all, once."""
    other = Path(shutil.copytree(finished, tmp_path / "other"))
    study = Store(finished).study()
    runs = [each.key for each in plan(study, results_of(study, Store(finished)))]
    tuned = [each.key for each in plan(study, {})]
    final = [key for key in runs if key not in tuned]
    for key in final[::2]:
        shutil.rmtree(folder / "runs" / key)
    for key in final[1::2]:
        shutil.rmtree(other / "runs" / key)
    archive = tmp_path / "other.zip"
    assert pack(Store(other), archive) == len(runs) - len(final[1::2])
    merged = unpack(archive, Store(folder))
    assert (merged.added, merged.known) == (len(final[::2]), len(tuned))
    assert merged.contradicting == []
    assert files(folder) == files(finished)


def test_contradicting_runs_are_named_and_ours_are_kept(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    pack(Store(folder), archive)
    spoilt = sorted(folder.glob("runs/*/metrics.jsonl"))[0]
    ours = spoilt.read_bytes().replace(b"0", b"1")
    spoilt.write_bytes(ours)
    ended = runner.invoke(app, ["unpack", str(archive), str(folder)])
    assert ended.exit_code == 1
    assert spoilt.parent.name in ended.stderr
    assert spoilt.read_bytes() == ours


def rewritten(source: Path, target: Path, changes: dict[str, bytes | None]) -> None:
    """The archive with other contents under some names; None leaves a member out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = changes.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name in changes.keys() - set(old.namelist()):
            new.writestr(name, changes[name] or b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no study", "not an archive that `adabelief pack` made"),
        ("no result", "lacks result.json"),
        ("another spec", "spec.json is another run's"),
        ("torn rows", "not an archive that `adabelief pack` made"),
        ("no zip", "not an archive that `adabelief pack` made: File is not a zip file"),
    ],
)
def test_a_damaged_archive_changes_nothing(
    folder: Path, tmp_path: Path, change: str, message: str
) -> None:
    good, bad, target = tmp_path / "good.zip", tmp_path / "bad.zip", tmp_path / "new"
    pack(Store(folder), good)
    one, other = sorted(path.name for path in folder.glob("runs/*"))[:2]
    theirs = (folder / f"runs/{other}/spec.json").read_bytes()
    every: dict[str, dict[str, bytes | None]] = {
        "no study": {"study.json": None},
        "no result": {f"runs/{one}/result.json": None},
        "another spec": {f"runs/{one}/spec.json": theirs},
        "torn rows": {f"runs/{one}/metrics.jsonl": b'{"step": 1'},
        "no zip": {},
    }
    rewritten(good, bad, every[change])
    if change == "no zip":
        bad.write_bytes(b"not one")
    with pytest.raises(LabError) as caught:
        unpack(bad, Store(target))
    assert message in str(caught.value)
    assert not target.exists()


def test_nothing_outside_the_folder_is_written(folder: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    pack(Store(folder), good)
    rewritten(good, bad, {"../evil.txt": b"x", "runs/../../evil.txt": b"x", "runs/x/evil": b"x"})
    unpack(bad, Store(tmp_path / "in" / "new"))
    assert not list(tmp_path.rglob("evil*"))


def test_another_study_is_refused(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    pack(Store(folder), archive)
    study = json.loads((folder / "study.json").read_text())
    study["settings"]["steps"] += 1
    (folder / "study.json").write_text(json.dumps(study))
    before = files(folder)
    with pytest.raises(LabError, match="holds another study; nothing was changed"):
        unpack(archive, Store(folder))
    assert files(folder) == before


def test_runs_made_again_are_the_same(folder: Path) -> None:
    before = files(folder)
    ended = runner.invoke(app, ["verify", str(folder), "--runs", "3", "--workers", "2"])
    assert ended.exit_code == 0, ended.output
    assert "3 runs repeated, 0 of them with another result" in ended.stdout
    assert ended.stdout.count("same") == 3
    assert files(folder) == before


def test_a_number_that_does_not_repeat_is_shown(folder: Path) -> None:
    for path in folder.glob("runs/*/metrics.jsonl"):
        first, *rest = path.read_text().splitlines()
        row = json.loads(first)
        row["loss"] += 1.0
        path.write_text("\n".join([json.dumps(row), *rest]) + "\n")
    ended = runner.invoke(app, ["verify", str(folder), "--runs", "1"])
    assert ended.exit_code == 1
    assert f"loss at step {row['step']} (train) was" in " ".join(ended.stdout.split())
    assert "1 run repeated, 1 of them with another result" in ended.stdout


def test_an_unfinished_study_has_nothing_to_verify(folder: Path) -> None:
    shutil.rmtree(folder / "runs")
    ended = runner.invoke(app, ["verify", str(folder)])
    assert ended.exit_code == 1
    assert "has no finished run that could be made again" in " ".join(ended.stderr.split())


def test_an_archive_of_other_code_is_refused_where_there_are_runs(
    folder: Path, tmp_path: Path
) -> None:
    code = json.loads((folder / "code.json").read_text())
    good, other = tmp_path / "good.zip", tmp_path / "other.zip"
    pack(Store(folder), good)
    theirs = {**code, "adabelief_lab/run/train.py": "0" * 16}
    rewritten(good, other, {"code.json": json.dumps(theirs).encode()})
    before = files(folder)
    with pytest.raises(LabError, match=r"another version of this code[\s\S]*train\.py: changed"):
        unpack(other, Store(folder))
    assert files(folder) == before
    fresh = Store(tmp_path / "fresh")
    unpack(other, fresh)
    assert fresh.code() == theirs, "the runs are theirs, and no run of ours may be added"
    with pytest.raises(LabError, match="another version of this code"):
        fresh.open(fresh.study(), code)


def test_a_file_that_is_not_there_is_said_to_be_unreadable(tmp_path: Path) -> None:
    ended = runner.invoke(app, ["unpack", str(tmp_path / "no.zip"), str(tmp_path / "new")])
    assert ended.exit_code == 1
    assert "no.zip cannot be read: No such file or directory" in " ".join(ended.stderr.split())
    assert not (tmp_path / "new").exists()
