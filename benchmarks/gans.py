"""Steps a second of the lab's GANs against a bare loop over the same networks.

Both take turns in one process, in shuffled rounds, with the same optimizer, one thread: the loop
that one writes by hand, without order and noise that can be repeated, and the lab's step. Sizes
are those of preset quick, and of the paper for WGAN and WGAN-GP; images are the embedded ones.
Beside it: what each optimizer's steps cost of the whole. Writes results/benchmarks/gans.json and
the tables of docs/gans.md.

    python -m benchmarks.gans [--rounds 8] [--cases wgan,quick ...]
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from adabelief_lab.bench.harness import Benchmark, Record, Table, conditions, paired
from adabelief_lab.common.rng import seed
from adabelief_lab.data import small_images
from adabelief_lab.models import dcgan, sngan
from adabelief_lab.tasks.gan import GANTask
from adabelief_lab.workloads import WORKLOADS
from benchmarks import DOCS, RECORDS
from benchmarks.costs import compared, made, shares_table

CLIP, PENALTY = 0.01, 10.0
LOOP, LAB = "a bare loop", "the lab"
PAPERS = {"size": 64, "width": 64, "batch_size": 64}


class Case(NamedTuple):
    """What is measured: a workload, and the options in which it differs from its quick preset."""

    workload: str
    size: str
    changed: Mapping[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """All options."""
        return {**WORKLOADS[self.workload].presets["quick"].options, **self.changed}

    def task(self) -> GANTask:
        """The lab's task."""
        workload = WORKLOADS[self.workload]
        preset = workload.presets["quick"].model_copy(update={"options": self.options})
        task = workload.build(preset, 0, 0)
        assert isinstance(task, GANTask)
        return task


CASES = {
    f"{workload},{size}": Case(workload, size, changed)
    for workload, size, changed in (
        ("wgan", "quick", {}),
        ("wgan-gp", "quick", {}),
        ("sn-gan", "quick", {}),
        ("wgan", "the paper's", PAPERS),
        ("wgan-gp", "the paper's", PAPERS),
    )
}


def by_hand(case: Case) -> Callable[[int], Any]:
    """A step of the generator and five of the critic, as one writes them."""
    options = case.options
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

    def step(_: int) -> None:
        for _ in range(options.get("n_critic", 5)):
            critic_step()
        noise = drawn()
        of_paint.zero_grad()
        (-score(paint(*noise), *noise[1:]).mean()).backward()
        of_paint.step()

    return step


def lab(case: Case) -> Callable[[int], Any]:
    """A step of the lab, which is the same number of both."""
    task, spec = case.task(), WORKLOADS[case.workload].published[0]
    optimizers = {name: made(spec, module) for name, module in task.modules.items()}
    return lambda index: task.step(index, optimizers)["loss"].item()


def measure(given: Namespace) -> dict[str, Any]:
    """All times of all rounds."""
    torch.set_num_threads(1)
    seed(0)
    cases = []
    for case in (CASES[name] for name in given.cases):
        facts = {
            "workload": case.workload, "size": case.size, "n_critic": case.task()._n_critic,
        }  # fmt: skip
        specs = WORKLOADS[case.workload].published if case.size == "quick" else ()
        steps = {LOOP: by_hand(case), LAB: lab(case)}
        cases.append({**facts, **compared(steps, case.task(), specs, given.rounds)})
    return {"cases": cases}


def speed(record: Record) -> str:
    """Steps a second of the bare loop, and of the lab."""
    rows = []
    for case in record["cases"]:
        loop, ours = case["speeds"][LOOP], case["speeds"][LAB]
        each = statistics.median(loop)
        rows.append((
            case["workload"], case["size"], f"{case['n_critic'] / each:.2f}", f"{1 / each:.2f}",
            f"{100 * paired(loop, ours).median:.0f} %",
        ))  # fmt: skip
    heads = (
        "workload", "size", "critic's steps a second, bare loop", "generator's, bare loop",
        "the lab, of that",
    )  # fmt: skip
    facts = conditions(record, "CPU time", f"{len(record['cases'][0]['speeds'][LOOP])} rounds")
    return f"{facts}\n\n{Table(heads, rows, text=(0, 1))}"


def optimizers(record: Record) -> str:
    """Each optimizer's share."""
    columns = {case["workload"]: case["shares"] for case in record["cases"] if case["shares"]}
    specs = [spec for name in columns for spec in WORKLOADS[name].published]
    return shares_table(columns, specs)


BENCHMARK = Benchmark(
    __doc__,
    RECORDS / "gans.json",
    DOCS / "gans.md",
    {"speed": speed, "optimizers": optimizers},
    measure,
    {"rounds": 8, "cases": tuple(CASES)},
)

if __name__ == "__main__":
    BENCHMARK.command()
