"""The command line: what it prints, and what it says to a wrong request."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adabelief_lab.cli import app
from lab_paths import TINY
from paths import EXAMPLES
from processes import run

EXAMPLE = EXAMPLES / "own_model.py"
runner = CliRunner()


def words(text: str) -> str:
    """Without the line breaks of a narrow terminal, without colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def refused(*arguments: str) -> str:
    ended = runner.invoke(app, list(arguments))
    assert ended.exit_code == 1, ended.output
    return words(ended.stderr)


def without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `adabelief ARGUMENTS` where `module` is not installed: it ends with a message."""
    hidden = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['adabelief', *{arguments!r}];"
        "from adabelief_lab.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended


def test_compare_runs_a_users_own_model_to_its_report(tmp_path: Path) -> None:
    out = tmp_path / "digits"
    ended = run(
        "compare", f"{EXAMPLE}:workload", "--preset", "smoke", "--against", "adam, sgd",
        "--seeds", "2", "--trials", "2", "--workers", "2", "--out", str(out),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert max(map(len, lines[:-1])) <= 100
    assert lines[-1] == f"Report: {out / 'report.html'}"
    assert "12 of 12 runs" in ended.stdout
    for label in ("AdaBelief", "Adam", "SGD (momentum)"):
        assert label in ended.stdout
    assert (out / "report.html").stat().st_size > 1_000_000, "plotly is inside"
    assert len(list(out.glob("runs/*/result.json"))) == 12
    assert len((out / "runs.csv").read_text().splitlines()) == 1 + 12
    shown = runner.invoke(app, ["status", str(out)])
    assert "12 of 12 runs" in shown.stdout
    (out / "report.html").unlink()
    assert runner.invoke(app, ["report", str(out)]).exit_code == 0
    assert (out / "report.html").exists()


def test_a_study_whose_runs_all_diverge_still_reports(tmp_path: Path) -> None:
    ended = run("compare", f"{TINY}:workload", "--preset", "poisoned", "--against", "sgd",
                "--workers", "2", "--out", str(tmp_path))  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    shown = runner.invoke(app, ["status", str(tmp_path)], env={"COLUMNS": "100"}).stdout
    assert "4 of 4 runs" in words(shown)
    tuned = [line.split("2/2")[1] for line in shown.splitlines() if "2/2" in line]
    rows = [re.findall(r"\d+(?:/\d+)?", line) for line in tuned]
    assert rows == [["0/0", "2", "0"]] * 2, "no seeds, two diverged, none failed"
    assert "diverged" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fashion-mnits"], "unknown workload 'fashion-mnits': did you mean fashion-mnist?"),
        (["fashion-mnist", "--against", "adamm"], "unknown optimizer 'adamm': did you mean adam"),
        (["fashion-mnist", "--against", "torch.optim:Adm"], "has no Adm; did you mean Adam"),
        (["fashion-mnist", "--preset", "slow"], "no preset 'slow'; it has quick, smoke"),
        (["--gpus", "1"], "--gpus belongs to --engine ray, got --engine local"),
        (["--engine", "ray", "--workers", "2"], "--workers belongs to --engine local, got"),
        ([f"{TINY}:nothing"], "named 'nothing', it has nothing of that name"),
        ([f"{TINY}:wrong_task", "--preset", "smoke"], "build must return a Task, got int 3"),
        (
            [f"{TINY}:wrong_task", "--preset", "smoke", "--dry-run"],
            "build must return a Task, got int 3",
        ),
    ],
)
def test_wrong_requests_are_explained_and_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = refused("compare", *arguments, "--out", str(out))
    assert message in said
    assert not out.exists()


def test_numbers_out_of_range_are_refused_by_name() -> None:
    ended = runner.invoke(app, ["compare", "fashion-mnist", "--seeds", "0"])
    assert ended.exit_code == 2
    assert "--seeds" in words(ended.stderr)


def test_a_folder_without_a_study_is_named(tmp_path: Path) -> None:
    for verb in ("status", "report"):
        assert "holds no study" in refused(verb, str(tmp_path))


def test_a_folder_of_another_study_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    said = refused("compare", f"{TINY}:workload", "--preset", "smoke", "--out", str(tmp_path))
    assert "holds no study" in said
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_list_names_workloads_and_optimizers_in_100_columns() -> None:
    shown = runner.invoke(app, ["list"], env={"COLUMNS": "100"}).stdout
    for name in ("fashion-mnist", "adabelief-eps1e-8", "eadam", "adamw", "sgd"):
        assert name in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_help_names_every_verb_and_option() -> None:
    shown = words(runner.invoke(app, ["--help"]).stdout)
    for verb in ("compare", "status", "report", "list", "bench"):
        assert verb in shown
    options = words(runner.invoke(app, ["compare", "--help"], env={"COLUMNS": "120"}).stdout)
    for option in ("--against", "--seeds", "--trials", "--preset", "--workers", "--out"):
        assert option in options


def test_without_a_package_the_command_says_what_to_install() -> None:
    said = words(without("typer", "list").stderr)
    assert "needs the package 'typer': pip install adabelief-lab (in a clone: pip" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "fashion-mnist", "--against", "adam,yogi"),
        ("compare", "fashion-mnist", "--against", "adam,lookahead+yogi", "--dry-run"),
        ("run", "fashion-mnist", "yogi"),
        ("reproduce", "fig4", "--preset", "smoke", "--workload", "cifar10-vgg11"),
    ],
)
def test_a_missing_extra_is_told_before_anything_trains(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    folder = "--studies" if arguments[0] == "reproduce" else "--out"
    ended = without("pytorch_optimizer", *arguments, folder, str(tmp_path / "out"))
    said = words(ended.stderr)
    assert 'Yogi needs pytorch_optimizer: pip install "adabelief-lab[rivals]" (in a clone' in said
    assert not (tmp_path / "out").exists()


def test_dry_run_shows_what_would_run_and_runs_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["compare", f"{TINY}:workload", "--preset", "smoke", "--against", "adamw,sgd"]
    arguments = [*arguments, "--out", str(out), "--dry-run"]
    planned = json.loads(runner.invoke(app, [*arguments, "--json"]).stdout)
    assert [(row["optimizer"], row["trials"], row["seeds"]) for row in planned["optimizers"]] == [
        ("adabelief", 2, 2),
        ("adamw", 2, 2),
        ("sgd", 2, 2),
    ]
    assert (planned["runs"], planned["finished"]) == (12, 0)
    assert planned["seconds_left"] >= planned["seconds_per_run"] > 0
    shown = words(runner.invoke(app, [*arguments, "--search", "paper"]).stdout)
    assert "beta1, lr, weight_decay" in shown
    assert f"{1 + 100 + 5 + 3 * 2} runs of 30 steps" in shown
    on_ray = [*arguments, "--engine", "ray", "--json"]
    planned = json.loads(runner.invoke(app, on_ray).stdout)
    assert planned["workers"] == 1
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert "holds no study" in refused(*arguments)


def test_json_of_compare_needs_dry_run() -> None:
    assert "--json needs --dry-run" in refused("compare", "fashion-mnist", "--json")


def test_run_trains_once_and_shows_every_evaluation(tmp_path: Path) -> None:
    one = ("run", f"{TINY}:workload", "sgd", "--preset", "smoke", "--out", str(tmp_path))
    shown = runner.invoke(app, [*one, "--lr", "0.1", "--seed", "3"])
    assert shown.exit_code == 0, shown.output
    (folder,) = (tmp_path / "runs").iterdir()
    spec = json.loads((folder / "spec.json").read_bytes())
    assert (spec["hyperparameters"]["lr"], spec["init_seed"], spec["data_seed"]) == (0.1, 3, 3)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {row["split"] for row in rows} == {"train", "valid"}, "test data are for final runs"
    for row in rows:
        if row["split"] == "train":
            assert f"{row['loss']:.5g}" in shown.output
    before = (folder / "result.json").stat()
    told = runner.invoke(app, [*one, "--lr", "0.1", "--seed", "3", "--json"])
    assert (folder / "result.json").stat() == before, "the same run is not made twice"
    assert json.loads(told.stdout)["result"]["status"] == "ok"
    assert json.loads(told.stdout)["rows"] == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "momentum"), "--set wants NAME=VALUE, got 'momentum'"),
        (("--set", "momentum=much"), "--set momentum: the value must be JSON"),
        (("--set", "momentun=0.9"), "takes no argument momentun"),
        (("--option", "precision"), "--option wants NAME=VALUE, got 'precision'"),
    ],
)
def test_run_says_what_is_wrong_before_anything_runs(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "runs"
    one = ("run", f"{TINY}:workload", "sgd", "--preset", "smoke", "--out", str(out))
    assert message in refused(*one, *options)
    assert not out.exists()


def test_run_takes_another_length_and_other_options(tmp_path: Path) -> None:
    one = ("run", "cifar10-vgg11", "adam", "--preset", "smoke", "--out", str(tmp_path))
    changed = ("--steps", "2", "--eval-every", "1", "--option", "precision=bfloat16")
    told = runner.invoke(app, [*one, *changed, "--option", "batch_size=8", "--json"])
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    assert (said["run"]["steps"], said["run"]["eval_every"]) == (2, 1)
    assert said["run"]["options"]["precision"] == "bfloat16"
    assert said["run"]["options"]["batch_size"] == 8
    assert [row["step"] for row in said["rows"] if row["split"] == "valid"] == [1, 2]


def test_run_that_diverges_ends_with_one_and_says_so(tmp_path: Path) -> None:
    one = ("run", f"{TINY}:workload", "adam", "--preset", "poisoned", "--out", str(tmp_path))
    assert "diverged: the training loss was nan at step 6" in refused(*one)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("adabelief compare fash", "fashion-mnist"),
        ("adabelief compare --against adam,rad", "adam,radam"),
        ("adabelief compare --preset smo", "smoke"),
        ("adabelief run fashion-mnist yo", "yogi"),
    ],
)
def test_the_shell_completes_names(typed: str, offered: str) -> None:
    asked = {"_ADABELIEF_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    ended = subprocess.run(
        [Path(sys.executable).parent / "adabelief"], capture_output=True, text=True, check=False,
        env={**os.environ, **asked, "COMP_CWORD": str(len(typed.split()) - 1)},
    )  # fmt: skip
    assert offered in ended.stdout.split()
