"""Presets of full size begin, are killed, and go on: real networks, some steps, the same bytes.

On CIFAR-10's images and the Penn Treebank where ADABELIEF_CIFAR10 and ADABELIEF_PTB name them, else
on embedded ones in their shape.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adabelief_lab.declare.study import Result
from adabelief_lab.workloads import WORKLOADS
from pictures import write
from processes import group_members, kill, run, start, wait_until

# Seconds for a command that is ended here, on two cores that others may use too.
LIMIT = 3600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LIMIT)]

CIFAR = () if os.environ.get("ADABELIEF_CIFAR10") else ("data=fashion",)
# Data that are here in place of those that are not; sizes of networks and images are kept.
ALTERED = {
    "cifar10": () if os.environ.get("ADABELIEF_CIFAR10") else ("data=embedded",),
    "imagenet": ("whole=false", "batch_size=8"),  # tests/pictures.py writes 36 images
    "detection": ("data=trees",),
    # An evaluation that reads one column takes a quarter of an hour.
    "ptb": ("evaluated_columns=20", *(() if os.environ.get("ADABELIEF_PTB") else ("text=sotu",))),
    "sotu": ("evaluated_columns=20",),
    # A search with a network that has learned nothing goes on to its limit.
    "help": ("averaged=2", "apart=1", "evaluated=4"),
    # Inception's weights are not here; 64,000 generated images take longer than all the rest.
    "wgan": ("features=lenet", "samples=100", "replicates=2", *CIFAR),
    "sn": ("features=lenet", "samples=100", "replicates=2", "batch_size=16", *CIFAR),
    "iwslt14": ("averaged=2", "apart=1", "evaluated=4", "text=help", "longest=256"),
}
FULL = [
    *[("cifar10-vgg11", preset) for preset in ("authors", "paper", "full")],
    # Presets of one data set differ in what a network has no part in.
    *[(f"cifar10-{network}", "authors") for network in ("resnet34", "densenet121")],
    *[("imagenet-resnet18", preset) for preset in ("authors", "paper", "full")],
    *[("detection-fasterrcnn", preset) for preset in ("authors", "full")],
    ("ptb-lstm3", "authors"),
    *[("ptb-lstm1", preset) for preset in ("paper", "full")],
    *[("sotu-lstm2", preset) for preset in ("authors", "paper", "full")],
    *[("help-transformer", preset) for preset in ("authors", "paper", "full")],
    *[("wgan", preset) for preset in ("authors", "paper", "full")],
    ("wgan-gp", "authors"),
    *[("sn-gan", preset) for preset in ("authors", "paper", "full")],
    *[("iwslt14-transformer", preset) for preset in ("authors", "paper", "full")],
]


def test_every_preset_of_full_size_is_among_them() -> None:
    sizes = {
        (name.partition("-")[0], preset)
        for name, workload in WORKLOADS.items()
        for preset in workload.presets
        if workload.published and preset not in ("quick", "smoke")
    }
    here = {(name.partition("-")[0], preset) for name, preset in FULL}
    assert sizes - here == {("cifar100", preset) for preset in ("authors", "paper", "full")}


@pytest.mark.parametrize(("workload", "preset"), FULL)
def test_a_full_preset_killed_in_its_middle_ends_with_the_same_bytes(
    workload: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADABELIEF_IMAGENET", str(write(tmp_path / "images")))
    options = [f"--option={each}" for each in ALTERED[workload.partition("-")[0]]]
    size = ("--preset", preset, "--steps", "3", "--eval-every", "2")
    command = ("run", workload, "adabelief", "--lr", "0.001", *size, *options, "--out")

    whole = tmp_path / "whole"
    ended = run(*command, str(whole), seconds=LIMIT)
    assert ended.returncode == 0, ended.stderr
    (expected,) = whole.glob("runs/*/metrics.jsonl")

    killed = tmp_path / "killed"
    process = start(*command, str(killed))
    wait_until(
        lambda: any(killed.glob("runs/*/checkpoint.pt")) or process.poll() is not None, LIMIT
    )
    kill(process)
    wait_until(lambda: not group_members(process.pid), 60)
    assert not list(killed.glob("runs/*/result.json")), "killed after its end: the test is void"
    again = run(*command, str(killed), seconds=LIMIT)
    assert again.returncode == 0, again.stderr
    (metrics,) = killed.glob("runs/*/metrics.jsonl")
    assert metrics.read_bytes() == expected.read_bytes()
    result = Result.model_validate_json((metrics.parent / "result.json").read_bytes())
    assert (result.status, result.resumed) == ("ok", 1)
