"""docs/performance.md and its figure, from records made up here: every number comes from one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adabelief_lab.bench.record import BenchRecord, Footprint, Heat
from paths import ROOT

# Ratios to the baseline's 1.0 that differ everywhere: none can stand for another.
NEAR = {"adam-fused": 1.0, "fused": 0.5, "ceiling": 0.48, "bf16-state": 0.4}
FAR = {"adam-fused": 1.0, "fused": 0.5, "timm": 3.5, "pytorch-optimizer": 2.5, "loop": 2.0}


def heat(shape: str, threads: int, times: dict[str, float], rounds: int, **facts: Any) -> Heat:
    values: dict[str, Any] = {
        "part": "speed", "tensors": 1, "parameters": 1 << 24, "repeats": 1, "layouts": 1,
        "clock": "thread CPU time" if threads == 1 else "wall time", "load": (0.25, 1.75),
    }  # fmt: skip
    seconds = {name: [time] * rounds for name, time in times.items()}
    return Heat(**{**values, **facts}, shape=shape, threads=threads, seconds=seconds)


def made(**changed: Any) -> BenchRecord:
    heats = [
        heat("16m", 1, NEAR, 8),
        heat("16m", 1, FAR, 3),
        heat("16m", 2, {"adam-fused": 1.0, "fused": 0.625}, 8),
        heat("1000x64", 1, {"adam-fused": 1.0, "fused": 0.125}, 8, tensors=1000, parameters=64_000),
        heat("1x1", 1, {"fused": 11e-6}, 8, part="overhead"),
        heat("364x1", 1, {"fused": 374e-6}, 8, part="overhead"),
        heat("256x4096", 1, {"loop": 1.0, "foreach": 0.75, "adam-fused": 0.25}, 3, part="paths"),
    ]
    memory = [
        Footprint(contender="fused", shape="resnet34", parameters=1000, state=8004, peak=21_000,
                  before=9_500),
        Footprint(contender="8bit-state", shape="resnet34", parameters=1000, state=3_020, peak=None,
                  before=None),
    ]  # fmt: skip
    values: dict[str, Any] = {
        "command": "adabelief bench",
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:44:05+00:00",
        "complete": True,
        "machine": {"processor": "Abacus", "cores": 2, "versions": {"timm": "9.8.7"}},
        "left_out": {"adabelief-pytorch": "it is not there"},
        "heats": heats,
        "memory": memory,
    }
    return BenchRecord(**{**values, **changed})


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import performance  # noqa: PLC0415, the root is on the path only now

    return lambda record: performance.page(record, "performance.json", "performance.png")


def row(text: str, *beginning: str) -> list[str]:
    """The one row that begins with these cells, as its cells."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    (found,) = [line for line in lines if line[: len(beginning)] == list(beginning)]
    return found


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def test_the_targets_stand_beside_what_was_measured(page: Any) -> None:
    reach = section(page(made()), "Reach")
    ours, adam = "AdaBelief, fused", "× Adam, fused"
    assert row(reach, f"{ours}: 1 × 16 M, {adam}")[1:] == ["≤ 0.92", "0.500", "yes"]
    assert row(reach, f"{ours}: 1,000 × 64, {adam}")[1:] == ["≤ 0.12", "0.125", "**no**"]
    assert row(reach, f"{ours}: GPT-2 small, {adam}")[1:] == ["≤ 0.90", "not measured", "–"]
    ceiling = row(reach, f"{ours}: 1 × 16 M, of the memory ceiling")
    assert ceiling[1:] == ["≥ 93 %", "96.0 %", "yes"]
    peers = row(reach, "fastest other AdaBelief: 1 × 16 M, × ours")
    assert peers[1:] == ["≥ 6", "5.00 (pytorch_optimizer)", "**no**"], "our loop is no peer"
    small = row(reach, f"{ours}, bf16 state: 1 × 16 M, {adam}")
    assert small[1:] == ["≤ 0.75", "0.400", "yes"]
    state = "bytes of state per parameter, to two decimals"
    assert row(reach, f"{ours}: {state}")[1:] == ["≤ 8", "8.004", "yes"]
    assert row(reach, f"{ours}, 8-bit state: {state}")[1:] == ["≤ 3", "3.020", "**no**"]
    assert row(reach, f"{ours}, bf16 state: {state}")[1:] == ["≤ 4", "not measured", "–"]


def test_the_tables(page: Any) -> None:
    text = page(made())
    one, two = section(text, "One thread, CPU time"), section(text, "2 threads, wall time")
    assert row(one, "AdaBelief, fused") == [
        "AdaBelief, fused", "0.50 (0.50–0.50)", "0.12 (0.12–0.12)",
    ]  # fmt: skip
    assert row(one, "timm") == ["timm", "3.50 (3.50–3.50)", "–"]
    assert row(two, "AdaBelief, fused") == ["AdaBelief, fused", "0.62 (0.62–0.62)"]
    ceiling = section(text, "Against memory itself")
    assert row(ceiling, "AdaBelief, fused") == ["AdaBelief, fused", "96 (96–96)"]
    assert "bf16" not in ceiling
    alone = section(text, "A step without arithmetic")
    assert row(alone, "AdaBelief, fused") == ["AdaBelief, fused", "11", "1.00"]
    memory = section(text, "Memory")
    assert row(memory, "AdaBelief, fused") == ["AdaBelief, fused", "8.004", "11.5"]
    assert row(memory, "AdaBelief, fused, 8-bit state")[1:] == ["3.020", "–"]
    paths = section(text, "Loop or foreach, where there is no kernel")
    assert row(paths, "256 × 4,096")[1:] == [
        "0.25 (0.25–0.25)", "1.00 (1.00–1.00)", "0.75 (0.75–0.75)",
    ]  # fmt: skip
    rounds = section(text, "Rounds and load")
    assert row(rounds, "1 × 16 M", "1")[2:] == [
        "1", "16,777,216", "1e+03", "8 / 3", "0.2–1.8",
    ]  # fmt: skip


def test_the_page_says_what_it_does_not_know(page: Any) -> None:
    text = page(made())
    assert "CUDA was not run" in text
    assert "Left out: adabelief-pytorch: it is not there" in text
    assert "Abacus, 2 cores" in text
    assert "timm 9.8.7" in text
    assert "stopped" not in text
    partial = page(made(complete=False, finished="", heats=[], memory=[]))
    assert "**The run was stopped: not all is here.**" in partial
    assert "finished never" in partial
    assert "performance.png" not in partial, "there is no figure without times"
    assert "## Memory" not in partial


def test_the_command_writes_page_and_figure_beside_the_record(tmp_path: Path) -> None:
    source = tmp_path / "there.json"
    source.write_text(made().json_text())
    ended = write(str(source))
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "there.md").read_text()
    assert "](there.json)" in text
    assert "](there.png)" in text
    assert (tmp_path / "there.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "there.png").stat().st_size > 20_000


def test_the_command_explains_what_it_cannot_read(tmp_path: Path) -> None:
    ended = write(str(tmp_path / "gone.json"))
    assert ended.returncode == 1
    assert "gone.json cannot be read: No such file" in ended.stderr
    assert "usage: " in write().stderr


def write(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.performance", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
