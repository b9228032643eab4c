"""What the measures mean, in plain words, with something to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from adabelief.diagnostics.measures import LARGE_STEP, Measures

# From where on a finding is made. They are ours: no paper has them.
MOST = 0.5  # share of elements
SOME = 0.01
LARGE_UPDATE, FROZEN_WEIGHTS = 0.1, 1e-7  # update to weight, in one step
UNIFORM = 0.1  # decades
SIGN = 0.99  # cosine
TOO_EARLY = 10  # steps

Kind = Literal[
    "non_finite",
    "floor",
    "large_step",
    "no_gradient",
    "uniform",
    "sign",
    "large_update",
    "frozen_weights",
    "too_early",
]


class Finding(NamedTuple):
    """`kind` is a word for programs, `text` for people."""

    kind: Kind
    name: str
    text: str


def findings(measures: Measures) -> list[Finding]:
    """Everything that is worth a sentence, the gravest first."""
    return [Finding(kind, measures.name, text) for kind, text in _found(measures)]


def _found(m: Measures) -> Iterator[tuple[Kind, str]]:
    if m.non_finite > 0:
        yield (
            "non_finite",
            f"{_percent(m.non_finite)} of the state is NaN or infinite: a gradient was. Go back to "
            "an earlier checkpoint, and look for what overflowed (GradScaler, a smaller lr)",
        )
    if m.non_finite == 1:
        return
    if m.step < TOO_EARLY:
        yield (
            "too_early",
            f"after {m.step} steps √ŝ has seen hardly any variation of the gradient: steps are "
            "longer than they will be, and nothing here is settled yet",
        )
    if m.at_floor >= MOST:
        freed = (
            f"; eps={m.free_eps:g} would free at least 90 % of them"
            if m.free_eps
            else "; their gradients vary too little to say which eps would free them"
        )
        yield (
            "floor",
            f"{_percent(m.at_floor)} of the elements sit at the ε floor, where the belief counts "
            f"for less than ε: this behaves like SGD with momentum at lr {m.sgd_lr:.2g}{freed}",
        )
    elif m.adaptivity < UNIFORM:
        yield (
            "uniform",
            f"90 % of the denominators are within {m.adaptivity:.2f} decades: all elements have "
            f"the same step size, as with SGD with momentum at lr {m.sgd_lr:.2g}",
        )
    if m.large_step >= SOME:
        yield (
            "large_step",
            f"{_percent(m.large_step)} of the elements move by more than {LARGE_STEP:g} lr in a "
            "step: their gradient is not small and hardly varies, as a clamped one does. Clip the "
            "norm, not the values; or cap steps with clip_update, or use a larger eps",
        )
    if m.no_gradient >= MOST:
        yield (
            "no_gradient",
            f"{_percent(m.no_gradient)} of the elements have never had a gradient: frozen, unused, "
            "or behind a dead activation",
        )
    elif m.cos_sign >= SIGN:
        yield (
            "sign",
            f"the update is along the signs of the gradient (cosine {m.cos_sign:.3f}): every "
            "element moves about as far as any other, whatever its gradient",
        )
    if m.update_to_weight is not None and m.update_to_weight >= LARGE_UPDATE:
        yield (
            "large_update",
            f"one step changes the weights by {_percent(m.update_to_weight)} of their norm: lr "
            f"{m.lr:g} is large, or the weights began at zero",
        )
    if m.update_to_weight is not None and m.update_to_weight <= FROZEN_WEIGHTS:
        yield (
            "frozen_weights",
            f"one step changes the weights by {m.update_to_weight:.1g} of their norm, about "
            f"what float32 resolves or less: lr {m.lr:g} is too small to move them",
        )


def _percent(share: float) -> str:
    shown = f"{100 * share:.2g}" if share < 0.995 or share == 1 else f"{100 * share:.1f}"
    return f"{float(shown):g} %"
