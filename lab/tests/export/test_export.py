"""What exporters write is what the runs' folders hold, read back by the tools themselves."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adabelief_lab.cli import app
from adabelief_lab.common.atomic_files import replace_json
from adabelief_lab.conduct.compare import records_of
from adabelief_lab.declare.study import RunRecord
from adabelief_lab.store.study_folder import Store
from studies import record, study

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two optimizers, three trials, two seeds; one trial and one seed diverged, one is pending."""
    declared = study(seeds=2)
    made = Store(tmp_path / "made")
    made.open(declared)
    for spec in declared.optimizers:
        ends = [0.0, 1.0, "diverged"]
        for run, end in zip(declared.tune_runs(spec), ends, strict=True):
            keep(made, record(run, end))  # type: ignore[arg-type]
        pending = "diverged" if spec.name == "ours" else None
        finals = declared.final_runs(spec, {"lr": 1e-3})
        for run, end in zip(finals, [0.25, pending], strict=True):
            keep(made, record(run, end))  # type: ignore[arg-type]
    return made


def keep(store: Store, told: RunRecord) -> None:
    if told.result is None:
        return
    folder = store.folder(told.run)
    folder.path.mkdir(parents=True)
    replace_json(folder.spec, told.run)
    folder.append([*told.rows, {"step": 20, "split": "train", "loss": None}])
    folder.finish(told.result)


def finished(store: Store) -> dict[str, RunRecord]:
    records = records_of(store.study(), store)
    return {each.run.key: each for each in records if each.result is not None}


def exported(store: Store, tool: str, out: Path) -> None:
    ended = CliRunner().invoke(
        app, ["export", str(store.root), "--to", tool, "--out", str(out)], catch_exceptions=False
    )
    assert ended.exit_code == 0, ended.output
    assert f"9 finished runs: {out}" in ended.output


def numbers(told: RunRecord) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for row in told.rows:
        for name in row.keys() - {"step", "split"}:
            value = math.nan if row[name] is None else row[name]
            found.setdefault(f"{row['split']}/{name}", []).append((row["step"], value))
    return found


def test_tensorboard_reads_what_was_written(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
        EventAccumulator,
    )
    from tensorboard.plugins.hparams import plugin_data_pb2  # noqa: PLC0415

    exported(store, "tensorboard", tmp_path / "events")
    found = {}
    for file in (tmp_path / "events").rglob("events.*"):
        events = EventAccumulator(str(file))
        events.Reload()
        text = events.Tensors("run/text_summary")[0].tensor_proto.string_val[0].decode()
        whole = json.loads(text.removeprefix("```json\n").removesuffix("\n```"))
        found[whole["key"]] = file, events, whole
    expected = finished(store)
    assert found.keys() == expected.keys()
    for key, told in expected.items():
        file, events, whole = found[key]
        assert told.result is not None
        seed = f"seed-{told.run.init_seed - 1000}"
        assert file.parts[-3] == ("tuning" if told.run.phase == "tune" else seed)
        assert whole.items() >= told.run.model_dump(mode="json").items()
        for tag, values in numbers(told).items():
            got = [(each.step, each.value) for each in events.Scalars(tag)]
            assert str(got) == str([(step, pytest.approx(x).expected) for step, x in values])
        ends = {**told.result.last, "seconds": told.result.seconds}
        assert {name: events.Scalars(f"end/{name}")[0].value for name in ends} == ends
        raw = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        session = plugin_data_pb2.HParamsPluginData.FromString(raw).session_start_info
        assert session.hparams["lr"].number_value == told.run.hyperparameters["lr"]
        assert session.hparams["status"].string_value == told.result.status


def records_in(file: Path) -> Iterator[Any]:
    """Records of an offline run: LevelDB's log format in blocks of 32 KiB, wandb's messages.

    wandb's own reader is a Go program without an interface of its own.
    """
    from wandb.proto import wandb_internal_pb2  # noqa: PLC0415

    data = file.read_bytes()
    assert data[:4] == b":W&B"
    place, whole = 7, b""
    while place < len(data):
        left = -place % 32768
        if 0 < left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        place += 7 + length
        whole += data[place - length : place]
        if kind in {1, 4}:  # whole, or its last part
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def decoded(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_wandb_runs_have_what_was_written(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    exported(store, "wandb", tmp_path / "offline")
    expected = finished(store)
    files = list((tmp_path / "offline").rglob("*.wandb"))
    assert {file.stem.removeprefix("run-") for file in files} == expected.keys()
    for file in files:
        told = expected[file.stem.removeprefix("run-")]
        assert told.result is not None
        records = list(records_in(file))
        run = next(each.run for each in records if each.HasField("run"))
        final = told.run.phase == "final"
        assert run.run_group == (f"seed-{told.run.init_seed - 1000}" if final else "tuning")
        assert (run.project, run.job_type) == ("toy-quick", told.run.optimizer)
        config = decoded(run.config.update)
        spec = told.run.model_dump(mode="json")
        assert {key: config[key] for key in spec} == spec
        rows = [decoded(each.history.item) for each in records if each.HasField("history")]
        for tag, values in numbers(told).items():
            got = [(row["_step"], float(row[tag])) for row in rows if tag in row]
            assert str(got[-1]) == str(values[-1])
            assert {step for step, _ in got} == {step for step, _ in values}
        summary: dict[str, Any] = {}
        for each in records:
            if each.HasField("summary"):
                summary |= decoded(each.summary.update)
        assert summary["status"] == told.result.status
        assert {name: summary[name] for name in told.result.last} == told.result.last


@pytest.mark.parametrize("tool", ["tensorboard", "wandb"])
def test_without_the_package_the_extra_is_named(store: Store, tool: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{tool!r}] = None; sys.argv[1:] = "
        f"['export', {str(store.root)!r}, '--to', {tool!r}, '--out', {str(tmp_path / 'x')!r}]\n"
        "from adabelief_lab.cli import app; app()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert f'needs {tool}: pip install "adabelief-lab[trackers]"' in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made", "--to", "excel"], "--to must be one of tensorboard, wandb, got 'excel'"),
        (["made", "--to", "wandb", "--out", "."], "is not empty: runs would be in it twice"),
        (["nothing", "--to", "wandb"], "nothing holds no study"),
    ],
)
def test_what_cannot_be_exported_is_said(
    store: Store, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.root.parent)
    ended = CliRunner().invoke(app, ["export", *arguments])
    assert ended.exit_code == 1
    assert message in " ".join(ended.output.split())
