"""Steps a second of the lab's GANs against a bare loop over the same networks.

Both take turns in one process, in shuffled rounds, with the same optimizer, one thread: the loop
that one writes by hand, without order and noise that can be repeated, and the lab's step. Sizes
are those of preset quick, and of the paper for WGAN and WGAN-GP; images are the embedded ones.
Beside it: what each optimizer's steps cost of the whole. Writes docs/gans.json and docs/gans.md.

    python -m benchmarks.gans [--rounds 8]
    python -m benchmarks.gans --table    # only writes the page anew, from the record
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from benchmarks.costs import Step, made, shares, shares_table, turns
from benchmarks.page import command
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.common.environment import environment
from adabelief_lab.common.rng import seed
from adabelief_lab.data import small_images
from adabelief_lab.models import dcgan, sngan
from adabelief_lab.tasks.gan import GANTask
from adabelief_lab.workloads import WORKLOADS

RECORD = Path(__file__).parent.parent / "docs" / "gans.json"
CLIP, PENALTY = 0.01, 10.0
LOOP, LAB = "a bare loop", "the lab"


class Case(NamedTuple):
    """What is measured: a workload, and the options in which it differs from its quick preset."""

    workload: str
    size: str
    options: Mapping[str, Any]


PAPERS = {"size": 64, "width": 64, "batch_size": 64}
CASES = (
    Case("wgan", "quick", {}),
    Case("wgan-gp", "quick", {}),
    Case("sn-gan", "quick", {}),
    Case("wgan", "the paper's", PAPERS),
    Case("wgan-gp", "the paper's", PAPERS),
)


def options_of(case: Case) -> dict[str, Any]:
    """All options."""
    return {**WORKLOADS[case.workload].presets["quick"].options, **case.options}


def task_of(case: Case) -> GANTask:
    """The lab's task."""
    workload = WORKLOADS[case.workload]
    preset = workload.presets["quick"].model_copy(update={"options": options_of(case)})
    task = workload.build(preset, 0, 0)
    assert isinstance(task, GANTask)
    return task


def by_hand(case: Case) -> Step:
    """A step of the generator and five of the critic, as one writes them."""
    options = options_of(case)
    images, labels = small_images.load("fashion", hold_out=False).train
    size = options.get("size", sngan.SIZE)
    resized = functional.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    images = resized / 127.5 - 1
    conditional, n = case.workload == "sn-gan", options["batch_size"]
    latent = 128 if conditional else 100
    paint: nn.Module
    score: nn.Module
    if conditional:
        paint = sngan.Generator(latent, options["width"], 1, 10)
        score = sngan.Critic(options["critic_width"], 1, 10)
    else:
        paint = dcgan.Generator(latent, options["width"], 1, size)
        score = dcgan.Critic(options["width"], 1, size, sigmoid=options.get("sigmoid", False))
    spec = WORKLOADS[case.workload].published[0]
    of_paint, of_score = made(spec, paint), made(spec, score)

    def drawn() -> tuple[Tensor, ...]:
        noise = torch.randn(n, latent)
        return (noise, torch.randint(10, (n,))) if conditional else (noise,)

    def critic_step() -> None:
        chosen = torch.randint(len(images), (n,))
        real, of_real = images[chosen], (labels[chosen],) if conditional else ()
        noise = drawn()
        fake = paint(*noise).detach()
        good, bad = score(real, *of_real), score(fake, *noise[1:])
        if conditional:
            loss = functional.relu(1 - good).mean() + functional.relu(1 + bad).mean()
        else:
            loss = bad.mean() - good.mean()
        if case.workload == "wgan-gp":
            share = torch.rand(n, 1, 1, 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
            loss = loss + PENALTY * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        of_score.zero_grad()
        loss.backward()
        of_score.step()
        if case.workload == "wgan":
            with torch.no_grad():
                for parameter in score.parameters():
                    parameter.clamp_(-CLIP, CLIP)
        loss.item()

    def step(index: int) -> None:
        del index
        for _ in range(options.get("n_critic", 5)):
            critic_step()
        noise = drawn()
        of_paint.zero_grad()
        (-score(paint(*noise), *noise[1:]).mean()).backward()
        of_paint.step()

    return step


def lab(case: Case) -> Step:
    """A step of the lab, which is the same number of both."""
    task, spec = task_of(case), WORKLOADS[case.workload].published[0]
    optimizers = {name: made(spec, module) for name, module in task.modules.items()}

    def step(index: int) -> None:
        task.step(index, optimizers)["loss"].item()

    return step


def record_of(rounds: int) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    load_average = os.getloadavg()[0]
    seed(0)
    cases = [
        {
            "workload": case.workload,
            "size": case.size,
            "n_critic": task_of(case)._n_critic,
            "speeds": turns({LOOP: by_hand(case), LAB: lab(case)}, rounds),
            "shares": shares(task_of(case), WORKLOADS[case.workload].published, max(2, rounds // 4))
            if case.size == "quick"
            else {},
        }
        for case in CASES
    ]
    return {"machine": environment(), "load_average": load_average, "cases": cases}


def page(record: Mapping[str, Any]) -> str:
    """The tables in Markdown."""
    facts, cases = record["machine"], record["cases"]
    rounds = len(cases[0]["speeds"][LOOP])
    lines = [
        "# The lab's GANs beside a bare loop",
        "",
        f"Written by `make gans` from [gans.json](gans.json): torch {facts['torch']}, "
        f"{facts['processor']}, {facts['threads']} thread, CPU time, {rounds} rounds; load average "
        f"{record['load_average']:.1f} at the beginning. With AdaBelief for both networks. No GPU "
        "was here.",
        "",
        "The lab's networks have their channels last in memory, and its critic has no gradients "
        "while the generator learns: what a bare loop does not think of.",
        "",
        "| workload | size | critic's steps a second, bare loop | generator's, bare loop | "
        "the lab, of that |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for case in cases:
        bare = statistics.median(case["speeds"][LOOP])
        pairs = zip(case["speeds"][LOOP], case["speeds"][LAB], strict=True)
        of = statistics.median(loop / ours for loop, ours in pairs)
        lines.append(
            f"| {case['workload']} | {case['size']} | {case['n_critic'] / bare:.2f} | "
            f"{1 / bare:.2f} | {100 * of:.0f} % |"
        )
    shown = [case for case in cases if case["shares"]]
    lines += [
        "",
        "The optimizer's steps, in percent of the time of training, at the size of quick:",
        "",
    ]
    labels = {
        spec.name: spec.label for case in shown for spec in WORKLOADS[case["workload"]].published
    }
    lines += shares_table({case["workload"]: case["shares"] for case in shown}, labels)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command(__doc__, 8, record_of, page, RECORD)
