"""Figure 5, LSTM language models on the Penn Treebank; and the authors' translation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adabelief_lab.analysis.comparison import Comparison
from adabelief_lab.analysis.formatting import mean_text
from adabelief_lab.paper.exhibit import Claim, ClaimVerdict
from adabelief_lab.paper.experiments.claims import NINE, belief, between, by_more
from adabelief_lab.paper.experiments.experiment import Experiment, against, full, highest


def _fig5(comparisons: Sequence[Comparison]) -> Iterator[Claim]:
    for comparison in comparisons:
        title = comparison.study.title
        says = f"{title}: of the nine optimizers AdaBelief has the lowest test perplexity"
        yield highest(comparison, "figure 5", says, NINE)
        yield belief(comparison, "section 2")
        yield Claim(
            "figure 5",
            f"{title}: AdaBelief is better than Adam and than SGD",
            f"{against(comparison, 'adam')}; {against(comparison, 'sgd')}",
            by_more(comparison, 0.0, ("adam", "sgd")),
        )


FIG5 = Experiment(
    name="fig5",
    title="Figure 5: LSTM language models on the Penn Treebank",
    source="section 3, figure 5",
    workloads=("ptb-lstm1", "ptb-lstm2", "ptb-lstm3"),
    claims=lambda comparisons: list(_fig5(comparisons)),
    limits=(
        "It shows that the nine optimizers run with their published settings on the real text, and "
        "how they begin. It cannot show who is best after 200 epochs: networks are small, training "
        "ends within the first epoch of the paper's, and its decays come much too early. Recurrent "
        "matrices are trained, which those of the published numbers are not."
    ),
    contradictions=(
        (
            "recurrent matrices",
            "an LSTM is trained",
            "weight drop wraps the dropped matrix in a new parameter, so that no gradient reaches "
            "the one that the optimizer has: it stays as it began",
        ),
        (
            "what is measured",
            "test perplexity at the end",
            "the test words are evaluated after each epoch in place of the valid ones, and the "
            "best model on them is kept",
        ),
        (
            "AdaBelief's settings",
            "lr 1e-3 and ε 1e-8 for all language models",
            "lr 1e-3, ε 1e-16 for 1 layer; lr 1e-2, ε 1e-12 for 2 and 3",
        ),
        (
            "ε of the others",
            "searched or default",
            "in the files' names, but the script hands it to AdaBelief alone",
        ),
        (
            "decays of the learning rate",
            "after epochs 75 and 150, by the figure",
            "after epochs 100 and 145, by scripts and stored curves",
        ),
        (
            "AdamW and RAdam with 2 and 3 layers",
            "about 73 and 70 in the figure",
            "90 to 104 in the stored curves, with lr 1e-2; re-runs reach the figure with lr 1e-3",
        ),
        ("SGD", "SGD with momentum, lr searched", "SGD without momentum, lr 30, then ASGD"),
    ),
)


def _transformer(comparisons: Sequence[Comparison]) -> Iterator[Claim]:
    for comparison in comparisons:
        title = comparison.study.title
        says = f"{title}: AdaBelief has a higher BLEU than AdamW and RAdam"
        yield highest(comparison, "readme", says, ("adabelief", "adamw", "radam"))
        yield Claim(
            "readme",
            f"{title}: AdaBelief's gain over AdamW is not that of its beta2",
            f"{against(comparison, 'adamw-0.999')}, which has it",
            by_more(comparison, 0.0, ("adamw-0.999",)),
        )
        # EAdam is not rectified, so that it is compared with the AdaBelief that is not.
        difference = between(comparison, "adabelief-unrectified", "eadam")
        told = mean_text(difference, comparison.study.primary_metric, signed=True)
        verdict: ClaimVerdict = "not tested"
        if full(comparison) and difference is not None:
            verdict = "holds" if difference.mean > 0 else "does not hold"
        yield Claim(
            "section 2",
            f"{title}: the belief gains, not ε",
            f"not rectified: {told} against EAdam, which has its ε and no belief",
            verdict,
        )


TRANSFORMER = Experiment(
    name="transformer",
    title="Translation with a transformer: an experiment beside the paper",
    source="readme of the authors' repository",
    workloads=("iwslt14-transformer", "iwslt14-fairseq", "help-transformer"),
    claims=lambda comparisons: list(_transformer(comparisons)),
    limits=(
        "It shows that all of it runs on real sentences: subwords, training, search, BLEU. It "
        "cannot show who translates best: networks are small and see the sentences once or twice."
    ),
    contradictions=(
        (
            "where it is",
            "not in the paper",
            "in the readme, with numbers of one run each",
        ),
        (
            "beta2",
            "one set of defaults, 0.999",
            "AdaBelief 0.999; Adam, AdamW and RAdam 0.98",
        ),
        (
            "rectification",
            "never used to produce results in the paper, says the readme",
            "on for this experiment, by the readme's table",
        ),
        (
            "learning rate",
            "5e-4 in the readme's table",
            "1.5e-3 after a rise of 8,000 steps in transformer-adabelief, 5e-4 after 4,000 in "
            "fairseq-adabelief",
        ),
        (
            "BLEU of AdaBelief",
            "35.85 in the readme",
            "35.74 in the readme as well",
        ),
    ),
)
LANGUAGE = (FIG5, TRANSFORMER)
