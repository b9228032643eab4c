"""The published recursion in rational arithmetic, roots to 60 digits: shares no code with ours.

One number θ; hyperparameters are the rationals that the given floats are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import isqrt
from typing import Any

DIGITS = 10**60


def root(square: Fraction) -> Fraction:
    """√square, rounded down at the 60th decimal."""
    return Fraction(isqrt(square.numerator * DIGITS**2 // square.denominator), DIGITS)


def radam_factor(step: int, beta2: Fraction) -> Fraction | None:
    """r_t of Liu et al. 2020, Algorithm 2, or None; the threshold 5 is that of their code."""
    longest = 2 / (1 - beta2) - 1
    now = longest - 2 * step * beta2**step / (1 - beta2**step)
    if now <= 5:
        return None
    return root((now - 4) / (longest - 4) * (now - 2) / (longest - 2) * longest / now)


def run(
    theta: float, gradients: Sequence[float], options: Mapping[str, Any]
) -> Iterator[tuple[Fraction, Fraction, Fraction, Fraction]]:
    """Yield (θ, m, s, max s) after each gradient."""
    lr, eps, decay = (
        Fraction(options.get(name, default))
        for name, default in (("lr", 1e-3), ("eps", 1e-16), ("weight_decay", 0.0))
    )
    beta1, beta2 = map(Fraction, options.get("betas", (0.9, 0.999)))
    x, m, s, largest = Fraction(theta), Fraction(0), Fraction(0), Fraction(0)
    for t, gradient in enumerate(gradients, start=1):
        g = Fraction(gradient) * (-1 if options.get("maximize") else 1)
        if not options.get("decoupled_weight_decay", True):
            g += decay * x
        elif options.get("fixed_decay") and lr:
            x -= decay * x
        else:
            x -= lr * decay * x
        m += (1 - beta1) * (g - m)
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        largest = max(largest, s)
        unbiased = options.get("bias_correction", True)
        ahead = m / (1 - beta1**t) if unbiased else m
        below = largest if options.get("amsgrad") else s
        spread = root(below / (1 - beta2**t) if unbiased else below)
        factor = radam_factor(t, beta2) if options.get("rectify") else Fraction(1)
        towards = ahead if factor is None else ahead / (spread + eps)
        if options.get("clip_update") is not None:
            cap = Fraction(options["clip_update"])
            towards = max(-cap, min(cap, towards))
        x -= lr * (1 if factor is None else factor) * towards
        yield x, m, s, largest
