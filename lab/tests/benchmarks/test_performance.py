"""The tables and the figure of performance, from records made up here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import performance
from benchmarks.figure import png

from adabelief_lab.bench.record import BenchRecord, MemoryUse, Timing
from paths import ROOT

# Ratios to the baseline's 1.0 that differ everywhere: none can stand for another.
NEAR = {"adam-fused": 1.0, "fused": 0.5, "ceiling": 0.48, "bf16-state": 0.4}
FAR = {"adam-fused": 1.0, "fused": 0.5, "timm": 3.5, "pytorch-optimizer": 2.5, "loop": 2.0}


def timing(shape: str, threads: int, times: dict[str, float], rounds: int, **facts: Any) -> Timing:
    values: dict[str, Any] = {
        "part": "speed", "tensors": 1, "parameters": 1 << 24, "repeats": 1, "layouts": 1,
        "clock": "thread CPU time" if threads == 1 else "wall time", "load": (0.25, 1.75),
    }  # fmt: skip
    seconds = {name: [time] * rounds for name, time in times.items()}
    return Timing(**{**values, **facts}, shape=shape, threads=threads, seconds=seconds)


def made(**changed: Any) -> BenchRecord:
    timings = [
        timing("16m", 1, NEAR, 8),
        timing("16m", 1, FAR, 3),
        timing("16m", 2, {"adam-fused": 1.0, "fused": 0.625}, 8),
        timing(
            "1000x64", 1, {"adam-fused": 1.0, "fused": 0.125}, 8, tensors=1000, parameters=64_000
        ),
        timing("1x1", 1, {"fused": 11e-6}, 8, part="overhead"),
        timing("364x1", 1, {"fused": 374e-6}, 8, part="overhead"),
        timing("256x4096", 1, {"loop": 1.0, "foreach": 0.75, "adam-fused": 0.25}, 3, part="paths"),
    ]
    memory = [
        MemoryUse(candidate="fused", shape="resnet34", parameters=1000, state=8004, peak=21_000,
                  before=9_500),
        MemoryUse(candidate="8bit-state", shape="resnet34", parameters=1000, state=3_020, peak=None,
                  before=None),
    ]  # fmt: skip
    values: dict[str, Any] = {
        "command": "adabelief bench",
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:44:05+00:00",
        "complete": True,
        "machine": {"processor": "Abacus", "cores": 2, "versions": {"timm": "9.8.7"}},
        "left_out": {"adabelief-pytorch": "it is not there"},
        "timings": timings,
        "memory": memory,
    }
    return BenchRecord(**{**values, **changed})


SECTIONS = performance.BENCHMARK.sections


def row(text: str, *beginning: str) -> list[str]:
    """The one row that begins with these cells, as its cells."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    (found,) = [line for line in lines if line[: len(beginning)] == list(beginning)]
    return found


def test_the_targets_stand_beside_what_was_measured() -> None:
    reached = SECTIONS["targets"](made())
    ours, adam = "AdaBelief, fused", "× Adam, fused"
    assert row(reached, f"{ours}: 1 × 16 M, {adam}")[1:] == ["≤ 0.92", "0.500", "yes"]
    assert row(reached, f"{ours}: 1,000 × 64, {adam}")[1:] == ["≤ 0.12", "0.125", "**no**"]
    assert row(reached, f"{ours}: GPT-2 small, {adam}")[1:] == ["≤ 0.90", "not measured", "–"]
    ceiling = row(reached, f"{ours}: 1 × 16 M, of the memory ceiling")
    assert ceiling[1:] == ["≥ 93 %", "96.0 %", "yes"]
    peers = row(reached, "fastest other AdaBelief: 1 × 16 M, × ours")
    assert peers[1:] == ["≥ 6", "5.00 (pytorch_optimizer)", "**no**"], "our loop is no peer"
    small = row(reached, f"{ours}, bf16 state: 1 × 16 M, {adam}")
    assert small[1:] == ["≤ 0.75", "0.400", "yes"]
    state = "bytes of state per parameter, to two decimals"
    assert row(reached, f"{ours}: {state}")[1:] == ["≤ 8", "8.004", "yes"]
    assert row(reached, f"{ours}, 8-bit state: {state}")[1:] == ["≤ 3", "3.020", "**no**"]
    assert row(reached, f"{ours}, bf16 state: {state}")[1:] == ["≤ 4", "not measured", "–"]


def test_the_tables() -> None:
    text = {name: write(made()) for name, write in SECTIONS.items()}
    one, two = text["speed"].split("## 2 threads, wall time")
    assert one.startswith("## One thread, CPU time")
    assert row(one, "AdaBelief, fused") == [
        "AdaBelief, fused", "0.50 (0.50–0.50)", "0.12 (0.12–0.12)",
    ]  # fmt: skip
    assert row(one, "timm") == ["timm", "3.50 (3.50–3.50)", "–"]
    assert row(two, "AdaBelief, fused") == ["AdaBelief, fused", "0.62 (0.62–0.62)"]
    assert row(text["ceiling"], "AdaBelief, fused") == ["AdaBelief, fused", "96 (96–96)"]
    assert "bf16" not in text["ceiling"]
    assert row(text["overhead"], "AdaBelief, fused") == ["AdaBelief, fused", "11", "1.00"]
    assert row(text["memory"], "AdaBelief, fused") == ["AdaBelief, fused", "8.004", "11.5"]
    assert row(text["memory"], "AdaBelief, fused, 8-bit state")[1:] == ["3.020", "–"]
    assert row(text["paths"], "256 × 4,096")[1:] == [
        "0.25 (0.25–0.25)", "1.00 (1.00–1.00)", "0.75 (0.75–0.75)",
    ]  # fmt: skip
    assert row(text["rounds"], "1 × 16 M", "1")[2:] == [
        "1", "16,777,216", "1e+03", "8 / 3", "0.2–1.8",
    ]  # fmt: skip


def test_the_page_says_what_it_does_not_know() -> None:
    text = {name: write(made()) for name, write in SECTIONS.items()}
    assert "Left out: adabelief-pytorch: it is not there" in text["limits"]
    assert "Abacus, 2 cores" in text["machine"]
    assert "timm 9.8.7" in text["machine"]
    assert "stopped" not in text["machine"]
    partial = made(complete=False, finished="", timings=[], memory=[])
    text = {name: write(partial) for name, write in SECTIONS.items()}
    assert "**The run was stopped: the record is not complete.**" in text["machine"]
    assert "finished never" in text["machine"]
    for name in ("speed", "ceiling", "overhead", "memory"):
        assert text[name] == "Not measured."
    assert png(partial, 1) is None, "there is no figure without times"


def test_the_command_prints_the_tables_of_another_record_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    source = tmp_path / "there.json"
    source.write_text(made().json_text())
    ended = write("--record", str(source))
    assert ended.returncode == 0, ended.stderr
    assert "| timm | 3.50 (3.50–3.50) | – |" in ended.stdout
    assert (tmp_path / "there.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "there.png").stat().st_size > 20_000


def test_the_command_explains_what_it_cannot_read(tmp_path: Path) -> None:
    ended = write("--record", str(tmp_path / "gone.json"))
    assert ended.returncode == 1
    assert "gone.json cannot be read: No such file" in ended.stderr
    (tmp_path / "old.json").write_text('{"format": 1}')
    assert (
        "old.json is no record of adabelief bench: format: "
        in write("--record", str(tmp_path / "old.json")).stderr
    )


def write(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.performance", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
