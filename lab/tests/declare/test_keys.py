"""Keys of runs are made of ids and settings: where modules lie does not matter."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import adabelief_lab
from adabelief_lab.common.make_optimizer import load_class
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.declare.study import Run
from adabelief_lab.optimizers import OPTIMIZERS, WRAPPERS, resolve
from adabelief_lab.optimizers.implementations import IMPLEMENTATIONS, import_path
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.load import load_workload

# Prints the keys of every trial and of the first final runs of some studies.
PRINT_KEYS = """
import json
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.optimizers import OPTIMIZERS, resolve
from adabelief_lab.workloads.load import load_workload

keys = []
for workload, preset in (("fashion-mnist", "smoke"), ("cifar10-vgg11", "authors")):
    loaded = load_workload(workload)
    own = published(loaded.workload) if preset == "authors" else None
    specs = own or resolve([*OPTIMIZERS, "lookahead+lars+sgd", "torch.optim:NAdam"])
    study = declare(loaded, preset, specs)
    for spec in study.optimizers:
        keys += [run.key for run in study.tune_runs(spec)]
        keys += [run.key for run in study.final_runs(spec, study.points(spec)[0])]
print(json.dumps(keys))
"""


def printed_keys(*folders: Path) -> list[str]:
    path = os.pathsep.join([*map(str, folders), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", PRINT_KEYS],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    keys: list[str] = json.loads(ended.stdout)
    return keys


def test_a_checkout_with_its_modules_elsewhere_gives_the_same_keys(tmp_path: Path) -> None:
    source = Path(adabelief_lab.__file__).parent
    package = tmp_path / "adabelief_lab"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("*.npz", "*.xz", "*.zip"))
    moves = {
        "optimizers.implementations": "optimizers.elsewhere",
        "workloads.fashion_mnist": "workloads.clothes",
        "workloads.cifar": "workloads.small_pictures",
    }
    for before, after in moves.items():
        old, new = (package / name.replace(".", "/") for name in (before, after))
        if not old.is_dir():
            old, new = old.with_suffix(".py"), new.with_suffix(".py")
        old.rename(new)
    for file in package.rglob("*.py"):
        text = file.read_text("utf-8")
        for before, after in moves.items():
            text = text.replace(f"adabelief_lab.{before}", f"adabelief_lab.{after}")
        for name in ("fashion_mnist", "cifar"):  # `from adabelief_lab.workloads import ...`
            if file.parent.name == "workloads" and file.name == "__init__.py":
                text = re.sub(rf"\b{name}\b", moves[f"workloads.{name}"].split(".")[1], text)
        file.write_text(text, "utf-8")
    keys = printed_keys(tmp_path)
    assert keys == printed_keys()
    assert len(set(keys)) == len(keys) > 100


@pytest.mark.parametrize("name", [*OPTIMIZERS, "lookahead+lars+sgd"])
def test_a_run_of_the_catalogue_names_no_module(name: str) -> None:
    study = declare(load_workload("fashion-mnist"), "smoke", resolve([name]))
    (spec,) = study.optimizers
    text = study.tune_runs(spec)[0].model_dump_json() + study.model_dump_json()
    assert not re.search(r"adabelief_lab|adabelief:|torch\.optim:|pytorch_optimizer:", text)


def test_published_settings_name_no_module() -> None:
    for workload in WORKLOADS.values():
        for spec in published(workload) if workload.published else ():
            assert spec.implementation in IMPLEMENTATIONS
            assert {each.implementation for each in spec.wrappers} <= set(IMPLEMENTATIONS)


def test_a_class_of_the_user_keeps_its_import_path() -> None:
    study = declare(load_workload("fashion-mnist"), "smoke", resolve(["torch.optim:NAdam"]))
    run = study.tune_runs(study.optimizers[0])[0]
    assert run.implementation == "torch.optim:NAdam"


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_id_leads_to_a_class(name: str) -> None:
    assert load_class(import_path(name)).__name__ == import_path(name).split(":")[1]


def test_every_id_is_used() -> None:
    used = {spec.implementation for spec in OPTIMIZERS.values()}
    used |= {spec.implementation for spec in WRAPPERS.values()}
    used |= {
        each.implementation
        for workload in WORKLOADS.values()
        for spec in workload.published
        for each in spec.wrappers
    }
    assert used == set(IMPLEMENTATIONS)


def test_a_key_is_this_for_ever() -> None:
    """Settings written out, so that no preset that is changed later changes this."""
    declared = {
        "workload": "fashion-mnist", "workload_hash": "", "preset": "smoke", "steps": 40,
        "eval_every": 20, "schedule": {"kind": "cosine"}, "options": {"batch_size": 32},
        "optimizer": "lookahead+adabound", "implementation": "adabound",
        "hyperparameters": {"lr": 0.001, "betas": [0.9, 0.999]},
        "wrappers": [{"implementation": "lookahead", "arguments": {"k": 5, "alpha": 0.5}}],
        "init_seed": 11, "data_seed": 12, "phase": "tune",
    }  # fmt: skip
    assert Run.model_validate(declared).key == "09b2592a43c56871"
