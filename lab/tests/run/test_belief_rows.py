"""Runs of AdaBelief note what the belief does, in their metrics; other runs do not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adabelief import AdaBelief, diagnostics
from adabelief.diagnostics.logger import scalars
from adabelief_lab.conduct.compare import declare
from adabelief_lab.optimizers import resolve
from adabelief_lab.run.belief_rows import belief_rows
from adabelief_lab.run.train import execute
from adabelief_lab.store.run_folder import RunFolder
from adabelief_lab.workloads.load import load_workload
from lab_paths import TINY


def stepped(*sizes: int) -> AdaBelief:
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(size, generator=generator)) for size in sizes]
    groups: list[dict[str, Any]] = [{"params": params[:1]}, {"params": params[1:], "lr": 0.1}]
    optimizer = AdaBelief(groups)
    for _ in range(3):
        for param in params:
            param.grad = torch.randn(param.shape, generator=generator)
        optimizer.step()
    return optimizer


def test_a_row_has_the_numbers_of_an_inspection() -> None:
    optimizer = stepped(20, 30)
    (row,) = belief_rows({"net": optimizer}, 7)
    assert (row.pop("step"), row.pop("split")) == (7, "belief")
    whole = scalars(diagnostics.optimizer(optimizer, limit=None).groups)
    assert row == {f"net/{key}": value for key, value in whole.items()}
    assert {"net/group 0/at_floor", "net/group 1/sgd_lr"} <= row.keys()


def test_other_optimizers_and_new_ones_have_none() -> None:
    param = nn.Parameter(torch.ones(2))
    adam = torch.optim.Adam([param])
    assert belief_rows({"a": adam, "b": AdaBelief([param])}, 1) == []


def test_what_is_not_finite_is_none() -> None:
    optimizer = stepped(4, 4)
    with torch.no_grad():
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.zero_()  # update over weight is infinite
    (row,) = belief_rows({"net": optimizer}, 1)
    assert row["net/group 0/update_to_weight"] is None
    assert json.loads(json.dumps(row, allow_nan=False)) == row


@pytest.mark.parametrize(("spec", "modules"), [("adabelief", 2), ("adam", 0)])
def test_a_run_has_a_row_for_each_module_at_each_evaluation(
    tmp_path: Path, spec: str, modules: int
) -> None:
    loaded = load_workload(f"{TINY}:workload")
    study = declare(loaded, "smoke", resolve([spec]))
    run = study.tune_runs(study.optimizers[0])[0]
    folder = RunFolder(tmp_path)
    execute(folder, run, loaded.workload)
    rows = [row for row in folder.rows() if row["split"] == "belief"]
    expected = math.ceil(run.steps / run.eval_every)
    assert len(rows) == modules * expected
    assert sorted({row["step"] for row in rows}) == [
        min(run.steps, (i + 1) * run.eval_every) for i in range(expected if modules else 0)
    ]
