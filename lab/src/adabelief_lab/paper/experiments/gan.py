"""Figures 6 and 7, tables 3 and 4: generative adversarial networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from adabelief_lab.analysis.comparison import Comparison, OptimizerSummary
from adabelief_lab.analysis.formatting import listing
from adabelief_lab.optimizers.published_gan import POWERS, padam
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict, Drawing
from adabelief_lab.paper.experiments import gallery
from adabelief_lab.paper.experiments.boxplots import boxes, fails
from adabelief_lab.paper.experiments.claims import belief, by_more
from adabelief_lab.paper.experiments.drawing import beside, curves
from adabelief_lab.paper.experiments.experiment import Experiment, against, full, highest

_NINE = (
    "adabelief", "rmsprop", "adam", "radam", "yogi", "fromage", "adabound", "msvag", "sgd",
)  # fmt: skip
# By figure 6.
_FAILED = {"wgan": ("adabound", "msvag", "sgd"), "wgan-gp": ("msvag", "sgd")}
_BESIDE = ("frechet_error", "kid", "feature_variance_ratio")
_PADAM = tuple(padam(power) for power in POWERS)


def _fig6(comparisons: Sequence[Comparison]) -> Iterator[Claim]:
    for comparison in comparisons:
        says = f"{comparison.study.title}: of the nine optimizers AdaBelief has the lowest FID"
        yield highest(comparison, "figure 6", says, _NINE)
        yield _failures(comparison)
        yield belief(comparison, "section 2")


def _failures(comparison: Comparison) -> Claim:
    """Who fails, and who fails by the figure."""
    theirs = _FAILED[comparison.study.workload]
    among = [one for one in comparison.summaries if one.optimizer.name in _NINE]
    ours = [one for one in among if _fails(one)]
    labels = listing([comparison.summary(name).optimizer.label for name in theirs])
    told = f"fail here: {listing([one.optimizer.label for one in ours]) or 'none'}"
    verdict: ClaimVerdict = "not tested"
    if full(comparison):
        same = {one.optimizer.name for one in ours} ^ set(theirs)
        verdict = "holds" if not same else "holds in part" if len(same) < 3 else "does not hold"
    says = f"{comparison.study.title}: {labels} fail, the others do not"
    return Claim("figure 6", says, told, verdict)


def _fails(summary: OptimizerSummary) -> bool:
    runs = summary.finals
    return fails([run.state for run in runs], [run.failures for run in runs])


def _table4(comparisons: Sequence[Comparison]) -> Iterator[Claim]:
    for comparison in comparisons:
        title = comparison.study.title
        says = f"{title}: AdaBelief has a lower FID than Padam with any p"
        yield highest(comparison, "table 4", says, ("adabelief", "adam", "sgd", *_PADAM))
        nearest = padam(POWERS[0])
        yield Claim(
            "table 4",
            f"{title}: AdaBelief is better than Padam with p = 1/2",
            f"{against(comparison, 'adam')}, which table 4 has for it; "
            f"{against(comparison, nearest)}, which is AMSGrad",
            by_more(comparison, 0.0, ("adam", nearest)),
        )


def _table3(comparisons: Sequence[Comparison]) -> Iterator[Claim]:
    for comparison in comparisons:
        says = "SN-GAN: of the nine optimizers AdaBelief has the lowest FID"
        yield highest(comparison, "table 3", says, _NINE)
        yield Claim(
            "table 3",
            "SN-GAN: AdaBelief is better than RAdam and than Adam",
            f"{against(comparison, 'radam')}; {against(comparison, 'adam')}",
            by_more(comparison, 0.0, ("radam", "adam")),
        )
        yield Claim(
            "table 3 and the released configuration",
            "SN-GAN: ε 1e-16 with rectification is no worse than what was released, ε 1e-12 "
            "without",
            against(comparison, "adabelief-released"),
            by_more(comparison, -0.5, ("adabelief-released",)),
        )


def _draw(data: Mapping[str, Any]) -> Iterator[Drawing]:
    for panel in data["panels"]:
        yield boxes(panel)
        yield curves(panel)
        yield beside(panel, data["sources"])
        if panel["pictures"]:
            yield gallery.everybody(panel)
        if panel["film"]:
            yield gallery.film(panel)


# Figure 6 and table 4 show the same run of AdaBelief as figure 7: figure 7 has its film.
_FILMS = Drawing(
    "films",
    "Figure 7 has films of what AdaBelief's generators paint during training.",
    {},
    exhibit="fig7",
)


def _draw_and_link(data: Mapping[str, Any]) -> Iterator[Drawing]:
    yield from _draw(data)
    yield _FILMS


def _draw_fig7(data: Mapping[str, Any]) -> Iterator[Drawing]:
    yield gallery.beside(data["panels"])
    for panel in data["panels"]:
        if panel["film"]:
            yield gallery.film(panel)


_LIMITS = (
    "It shows that all optimizers run with their published settings, how they begin, and which do "
    "not begin at all. It cannot show who is best after 100 epochs: images, networks and training "
    "are small, and the distance is not FID."
)
_BOTH = (
    (
        "learning rate",
        "2e-4 for all, betas and ε searched",
        "2e-4, also for SGD (without momentum), M-SVAG and Fromage, which elsewhere have 0.01 to "
        "30: that they fail says as much about it",
    ),
    (
        "the critic",
        "WGAN and WGAN-GP",
        "WGAN's ends in a sigmoid; both have batch normalisation, which WGAN-GP's paper advises "
        "against",
    ),
    (
        "the generator's steps",
        "n_critic steps of the critic, then one of the generator",
        "one on every fifth batch, after the critic has had it, with the same noise",
    ),
    ("real images of FID", "60,000", "the 50,000 train images"),
    ("AdamW", "not in figure 6", "there, without decay, which makes it Adam; not run here"),
    ("Padam", "seven values of p", "no code; which ε and β1 it had is not said"),
)

FIG6 = Experiment(
    name="fig6",
    title="Figure 6: WGAN and WGAN-GP",
    source="section 3, figure 6",
    workloads=("wgan", "wgan-gp"),
    claims=lambda comparisons: list(_fig6(comparisons)),
    limits=_LIMITS,
    contradictions=_BOTH,
    optimizers=(*_NINE, "eadam"),
    beside=_BESIDE,
    gather=partial(gallery.gather, with_film=False),
    draw=_draw_and_link,
)
FIG7 = Experiment(
    name="fig7",
    title="Figure 7: images of WGAN and WGAN-GP, both trained by AdaBelief",
    source="section 3, figure 7",
    workloads=("wgan", "wgan-gp"),
    claims=lambda comparisons: [],
    limits=_LIMITS,
    optimizers=("adabelief",),
    beside=_BESIDE,
    gather=gallery.gather,
    draw=_draw_fig7,
)
TABLE3 = Experiment(
    name="table3",
    title="Table 3: SN-GAN with a ResNet generator",
    source="section 3, table 3",
    workloads=("sn-gan",),
    claims=lambda comparisons: list(_table3(comparisons)),
    limits=(
        "It shows that all of it runs: spectral normalisation, projection, hinge loss. Training "
        "ends where the paper's has hardly begun, and the distance is not FID."
    ),
    contradictions=(
        (
            "AdaBelief's settings",
            "ε 1e-16; rectified by the readme's table",
            "the released configuration has ε 1e-12 and does not rectify",
        ),
        ("AdaBelief's FID", "12.52 in table 3", "12.36 and 12.87 in readme and log"),
        (
            "when it is taken",
            "the FID of a training",
            "the best over training: 12.87 at 86,000 of 100,000 steps, 13.97 and 14.12 at the end",
        ),
        ("Adam's ε", "searched among 1e-3 to 1e-12", "1e-6 in the released configuration"),
        (
            "AdaBound",
            "55.65 in table 3",
            "about 19 in the re-runs of the ML Reproducibility Challenge 2021",
        ),
    ),
    beside=_BESIDE,
    gather=gallery.gather,
    draw=_draw,
)
TABLE4 = Experiment(
    name="table4",
    title="Table 4: AdaBelief and Padam",
    source="section 3, table 4",
    workloads=("wgan", "wgan-gp"),
    claims=lambda comparisons: list(_table4(comparisons)),
    limits=_LIMITS,
    contradictions=(
        *_BOTH,
        (
            "accuracy on ImageNet (its third row)",
            "AdaBelief 70.08, Adam 63.79, Padam with p = 1/8 70.07, SGD 70.23",
            "taken from other papers but for AdaBelief's: see table 2",
        ),
    ),
    optimizers=("adabelief", "adam", "sgd", *_PADAM),
    beside=_BESIDE,
    gather=partial(gallery.gather, with_film=False),
    draw=_draw_and_link,
)
GAN = (FIG6, FIG7, TABLE3, TABLE4)
