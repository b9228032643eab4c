"""`adabelief bench` as it is typed: what it measures, prints and writes, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adabelief_lab.bench.machine import cores
from adabelief_lab.bench.record import read_record
from adabelief_lab.cli import app
from processes import run, start

runner = CliRunner()


def words(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def refused(*arguments: str) -> str:
    ended = runner.invoke(app, ["bench", *arguments])
    assert ended.exit_code == 1, ended.output
    assert ended.stdout == ""
    return words(ended.stderr)


@pytest.mark.slow
def test_quick_measures_everybody_in_seconds(tmp_path: Path) -> None:
    out = tmp_path / "quick.json"
    ended = run("bench", "--quick", "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[-1] == f"Record: {out}"
    assert max(map(len, lines[:-1])) <= 100
    shown = words(ended.stdout)
    for said in (
        "364 × 1,024: 364 tensors, 372,736 parameters; 1 thread, thread CPU time",
        "1,000 × 64: 1,000 tensors, 64,000 parameters; 1 thread",
        "A step without arithmetic",
        "Adam, fused", "AdaBelief, loop", "adabelief-pytorch",
    ):  # fmt: skip
        assert said in shown
    record = read_record(out)
    assert record.complete
    assert record.finished >= record.started
    assert record.shapes("speed") == ["364x1024", "1000x64"]
    assert record.threads() == [1]
    assert all(one.rounds == 3 for one in record.timings)
    assert {"torch", "processor", "cores", "load_average", "versions"} <= record.machine.keys()
    assert record.machine["versions"]["adabelief-pytorch"] == "0.2.1"
    assert "% speed: 364 × 1,024" in ended.stderr, "progress is told"


def test_the_shapes_threads_rounds_and_candidates_that_are_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "it.json"
    given = ["--shapes", "2x30, 1x9", "--threads", "1", "--rounds", "2", "--against"]
    ended = runner.invoke(app, ["bench", *given, "loop,adam-single", "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    record = json.loads(out.read_text())
    assert {one["shape"] for one in record["timings"]} == {"2x30", "1x9"}
    assert {one["threads"] for one in record["timings"]} == {1}
    ran = {name for one in record["timings"] for name in one["seconds"]}
    assert {"adam-fused", "loop", "adam-single", "default"} <= ran
    assert not ran & {"timm", "foreach", "adamw-fused", "ceiling"}
    assert record["memory"] == []
    assert ran.isdisjoint(record["left_out"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shapes", "resnet43"], "unknown shape 'resnet43': did you mean resnet34? choose from"),
        (["--shapes", ","], "--shapes must name at least one, got ','"),
        (["--against", "tim"], "unknown candidate 'tim': did you mean timm"),
        (["--threads", "0"], f"--threads must be in 1..{cores()}, the processors of this machine"),
        (["--threads", "two"], "got two"),
        (["--threads", f"1,{cores() + 1}"], f"got {cores() + 1}"),
        (["--shapes", "100000x1000000"], "100000x1000000 needs"),
    ],
)
def test_wrong_requests_are_explained_and_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    assert message in refused(*arguments, "--out", str(out))
    assert not out.exists()


def test_rounds_out_of_range_are_refused_by_name() -> None:
    ended = runner.invoke(app, ["bench", "--rounds", "0"])
    assert ended.exit_code == 2
    assert "--rounds" in words(ended.stderr)


def test_a_file_that_cannot_be_written_is_found_before_the_work() -> None:
    said = refused("--shapes", "1x9", "--against", "loop", "--out", "/proc/nowhere/it.json")
    assert "/proc/nowhere/it.json could not be written" in said


def without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `adabelief bench ARGUMENTS` where `module` is not installed."""
    hidden = (
        f"import sys; sys.modules[{module!r}] = None;"
        f"sys.argv = ['adabelief', 'bench', *{arguments!r}];"
        "from adabelief_lab.__main__ import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, check=False
    )


def test_a_peer_that_is_missing_is_left_out_and_named(tmp_path: Path) -> None:
    out = tmp_path / "it.json"
    ended = without(
        "adabelief_pytorch", "--shapes", "1x9", "--threads", "1", "--rounds", "1",
        "--out", str(out),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    left_out = read_record(out).left_out
    assert "pip install adabelief-pytorch pytorch_optimizer timm" in left_out["adabelief-pytorch"]
    assert "Left out: adabelief-pytorch: " in ended.stderr
    assert "adabelief-pytorch" not in ended.stdout


def test_a_peer_that_is_missing_and_asked_for_is_an_error() -> None:
    ended = without("adabelief_pytorch", "--shapes", "1x9", "--against", "adabelief-pytorch")
    assert ended.returncode == 1
    assert "adabelief-pytorch cannot run here: " in words(ended.stderr)
    assert "pip install adabelief-pytorch pytorch_optimizer timm" in words(ended.stderr)
    assert "Traceback" not in ended.stderr


def test_stopped_it_shows_and_keeps_what_it_has(tmp_path: Path) -> None:
    out = tmp_path / "it.json"
    process = start(
        "bench", "--shapes", "1x9,300x100000", "--threads", "1", "--rounds", "100",
        "--against", "loop", "--out", str(out),
    )  # fmt: skip
    assert process.stderr is not None
    # The last job has begun: the timings before it are in the file.
    assert any("300 × 100,000" in line for line in process.stderr)
    os.kill(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    record = read_record(out)
    assert not record.complete
    assert record.finished == ""
    assert {one.shape for one in record.timings} == {"1x9"}
    assert "1 × 9: 1 tensor, 9 parameters" in shown
    assert "Stopped" in said


def test_help_names_every_option() -> None:
    shown = words(runner.invoke(app, ["bench", "--help"], env={"COLUMNS": "120"}).stdout)
    for said in (
        "--shapes", "--threads", "--rounds", "--against", "--out", "--quick",
        "16m, resnet34, densenet121, gpt2",
    ):  # fmt: skip
        assert said in shown
