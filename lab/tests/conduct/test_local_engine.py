"""Worker processes that die, really."""

from __future__ import annotations

import os
import signal
from multiprocessing import active_children
from pathlib import Path

import pytest

from adabelief_lab.common.errors import LabError
from adabelief_lab.conduct.compare import conduct, declare, results_of
from adabelief_lab.conduct.local_engine import MAX_DEATHS, LocalEngine
from adabelief_lab.optimizers import resolve
from adabelief_lab.store.study_folder import Store
from adabelief_lab.workloads.load import load_workload
from lab_paths import TINY
from processes import wait_until

# Ends every worker without a word when it is imported, as a broken native library would.
DEADLY = """
import multiprocessing
import os
from adabelief_lab.declare.workload import Metric, Preset, Workload

if multiprocessing.parent_process() is not None:
    os._exit(1)

def build(*arguments):
    raise AssertionError

metrics = (Metric(name="accuracy", direction="max"),)
presets = {"only": Preset(steps=1, eval_every=1, trials=1, seeds=1)}
workload = Workload("deadly", build, metrics, "accuracy", presets)
"""


def test_runs_submitted_after_the_workers_were_killed_are_executed(tmp_path: Path) -> None:
    reference = f"{TINY}:workload"
    study = declare(load_workload(reference), "smoke", resolve(["adabelief"]), trials=2, seeds=1)
    store = Store(tmp_path)
    first, second = study.tune_runs(study.optimizers[0])
    engine = LocalEngine(tmp_path, reference, workers=1)
    try:
        engine.submit(first)
        wait_until(lambda: store.folder(first).step() > 0)
        for child in active_children():
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
        wait_until(lambda: not engine.running)  # the pool has noticed
        engine.submit(second)
        wait_until(lambda: (list(engine.ended(0.2)), engine.idle)[1])
    finally:
        engine.stop()
    assert set(store.results([first, second])) == {first.key, second.key}


def test_workers_that_keep_dying_end_the_study_with_a_message(tmp_path: Path) -> None:
    file = tmp_path / "deadly.py"
    file.write_text(DEADLY)
    reference = f"{file}:workload"
    study = declare(load_workload(reference), "only", resolve(["sgd"]))
    store = Store(tmp_path / "out")
    store.open(study)
    engine = LocalEngine(store.root, reference, workers=1)
    message = rf"worker processes died {MAX_DEATHS + 1} times .* fewer --workers"
    try:
        with pytest.raises(LabError, match=message):
            conduct(study, store, engine, show=lambda now: None, note=lambda text: None)
    finally:
        engine.stop()
    assert results_of(study, store) == {}
