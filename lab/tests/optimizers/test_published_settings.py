"""Published settings: every one is run as it says; L2 around an optimizer; their report."""

from __future__ import annotations

import re

import pytest
import torch

from adabelief_lab.analysis.analyze import analyze
from adabelief_lab.conduct.compare import declare, published
from adabelief_lab.optimizers import OptimizerSpec
from adabelief_lab.optimizers.implementations import make_declared_optimizer
from adabelief_lab.optimizers.implementations.l2 import L2
from adabelief_lab.report import page
from adabelief_lab.report.charts import charts
from adabelief_lab.workloads import WORKLOADS
from adabelief_lab.workloads.load import load_workload

HAVE = {name: each for name, each in WORKLOADS.items() if each.published}


@pytest.mark.parametrize("name", HAVE)
def test_subjects_are_adabelief_and_names_and_labels_differ(name: str) -> None:
    specs = HAVE[name].published
    assert specs[0].implementation == "adabelief"
    for part in ("name", "label"):
        assert len({getattr(spec, part) for spec in specs}) == len(specs)


@pytest.mark.parametrize(
    "spec",
    {repr(spec): spec for each in HAVE.values() for spec in each.published}.values(),
    ids=lambda spec: spec.name,
)
def test_every_published_optimizer_takes_its_settings_and_moves(spec: OptimizerSpec) -> None:
    weight = torch.ones(4, 3, requires_grad=True)
    optimizer = make_declared_optimizer(spec, [weight], spec.arguments(spec.published))
    assert optimizer.param_groups[0]["lr"] == spec.published["lr"]
    for _ in range(2):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert (weight < 1).all()


def test_l2_around_an_optimizer_is_the_decay_of_one_that_has_it() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    wrapped = L2(torch.optim.SGD([ours], lr=0.1, momentum=0.9), weight_decay=0.05)
    plain = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.05)
    for _ in range(10):
        grad = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        wrapped.step()
        plain.step()
        assert torch.equal(ours.grad, grad), "the gradient is as it was"
        assert torch.equal(ours, theirs)
    with pytest.raises(ValueError, match=r"weight_decay must be in \[0, inf\), got -1"):
        L2(plain, weight_decay=-1)


def test_the_page_of_untuned_optimizers_has_no_link_without_an_end() -> None:
    loaded = load_workload("cifar10-vgg11")
    study = declare(loaded, "smoke", published(loaded.workload))
    found = analyze(study, [])
    html = page.html(found, [], charts(found))
    ends = set(re.findall(r'id="([^"]+)"', html))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= ends
    assert "No optimizer is tuned" in html
