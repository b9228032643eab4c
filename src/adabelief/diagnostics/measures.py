"""What the state says about the steps: pure functions of samples, no tensors and no words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabelief.diagnostics.samples import Array, Sample

Mask = NDArray[np.bool_]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# The belief counts for less than ε where ŝ is below twice what ε alone would make of it.
DOMINATED = 2.0
# Beyond so many lr an element moves as no Adam would: its gradient has hardly varied.
LARGE_STEP = 10.0
BINS = 48


@dataclass(frozen=True)
class Measures:
    """Of one parameter, a group, or all. Shares are of elements, in [0, 1].

    Args:
        name: whose.
        tensors: how many parameters.
        numel: their elements.
        step: largest t.
        lr: of the (first) group.
        eps: likewise.
        step_size: quantiles (5, 25, 50, 75, 95 %) of α / (√ŝ + ε), the factor on m̂, in units of θ
            per unit of the gradient.
        at_floor: share whose ŝ is below twice what ε alone would make of it.
        floor: √ŝ + ε where the gradient never varies, its smallest possible value.
        sgd_lr: lr of torch's SGD with momentum β₁ that moves the median element as far.
        adaptivity: decades between the 5 % and the 95 % quantile of √ŝ + ε. 0 is SGD.
        no_gradient: share with m = 0: no gradient ever came.
        large_step: share that moves by more than ten lr.
        non_finite: share of elements of m or s that are not finite.
        cos_gradient: cosine of the angle between −update and gradient; None without gradients.
        cos_momentum: between −update and m̂.
        cos_sign: between −update and the signs of m̂; 1 is sign descent.
        update_to_weight: norm of the update over that of the weights; None without weights.
        free_eps: the largest power of ten as ε at which a tenth of the elements at most would be at
            the floor; None if there is none, or if it is not below `eps`.
        histogram: (n + 1 edges of log₁₀(√ŝ + ε), n shares); empty if nothing is finite.
    """

    name: str
    tensors: int
    numel: int
    step: int
    lr: float
    eps: float
    step_size: tuple[float, ...]
    at_floor: float
    floor: float
    sgd_lr: float
    adaptivity: float
    no_gradient: float
    large_step: float
    non_finite: float
    cos_gradient: float | None
    cos_momentum: float
    cos_sign: float
    update_to_weight: float | None
    free_eps: float | None
    histogram: tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class _Elements:
    """Elements of one or more parameters side by side, each with its weight."""

    weight: Array
    direction: Array  # m̂
    variance: Array  # ŝ
    floor_variance: Array  # what ε alone makes of ŝ
    denominator: Array
    step_size: Array  # α / (√ŝ + ε)
    update: Array  # θ before − θ after, decay left out
    lr: Array
    sgd: Array  # α (1 − β₁) / (√ŝ + ε)
    grad: Array | None
    param: Array | None


def measure(name: str, samples: Sequence[Sample]) -> Measures:
    """Measures of these parameters together, each element looked at standing for its share.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        msg = f"nothing to measure in {name!r}: no parameter has been updated yet"
        raise ValueError(msg)
    whole = _joined([_elements(sample) for sample in _alike(samples)])
    finite = np.isfinite(whole.denominator) & np.isfinite(whole.direction)
    total = whole.weight.sum()
    e = _taken(whole, finite)
    some = e.weight.sum() > 0
    denominators = weighted_quantiles(e.denominator, e.weight, QUANTILES)
    # Largest steps belong to smallest denominators; lr may differ between groups.
    sizes = weighted_quantiles(e.step_size, e.weight, QUANTILES)
    at_floor = e.variance <= DOMINATED * e.floor_variance
    first = samples[0]
    return Measures(
        name=name,
        tensors=len(samples),
        numel=sum(sample.numel for sample in samples),
        step=max(sample.step for sample in samples),
        lr=first.lr,
        eps=first.eps,
        step_size=sizes,
        at_floor=_share(at_floor, e.weight),
        floor=float(np.sqrt(e.floor_variance).min() + first.eps) if some else math.nan,
        sgd_lr=weighted_quantiles(e.sgd, e.weight, (0.5,))[0],
        adaptivity=math.log10(denominators[-1] / denominators[0]) if denominators[0] > 0 else 0.0,
        no_gradient=_share(e.direction == 0, e.weight),
        large_step=_share(np.abs(e.update) > LARGE_STEP * e.lr, e.weight),
        non_finite=1.0 - float(e.weight.sum() / total),
        cos_gradient=None if e.grad is None else _cosine(e.update, e.grad, e.weight),
        cos_momentum=_cosine(e.update, e.direction, e.weight),
        cos_sign=_cosine(e.update, np.sign(e.direction), e.weight),
        update_to_weight=None if e.param is None else _ratio(e.update, e.param, e.weight),
        free_eps=_free_eps(first, e) if _share(at_floor, e.weight) > 0.1 else None,
        histogram=_histogram(e.denominator, e.weight),
    )


def _alike(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Samples with the same scalars as one: most of the time went into many short arrays."""
    groups: dict[tuple[Any, ...], list[Sample]] = {}
    for sample in samples:
        known = (sample.grad is None, sample.param is None)
        key = (sample.step, sample.eps, sample.lr, sample.c, sample.weight, *known)
        groups.setdefault(key, []).append(sample)
    for members in groups.values():
        arrays: dict[str, Any] = {}
        for name in ("exp_avg", "exp_avg_var", "grad", "param"):
            own = [getattr(member, name) for member in members]
            arrays[name] = None if own[0] is None else np.concatenate(own)
        yield replace(members[0], **arrays)


def _elements(sample: Sample) -> _Elements:
    c, n = sample.c, len(sample.exp_avg)
    with np.errstate(all="ignore"):  # what is not finite is counted, not computed with
        scale = 1.0 / (1.0 - c.beta1**sample.step) if c.metric_scale != 1.0 else 1.0
        variance = c.metric_scale**2 * sample.exp_avg_var
        sum_of_powers = (1.0 - c.beta2**sample.step) / (1.0 - c.beta2)
        direction = scale * sample.exp_avg
        denominator = np.sqrt(variance) + sample.eps
        step = direction / denominator if c.adaptive else direction
        if c.clip_update is not None:
            step = np.clip(step, -c.clip_update, c.clip_update)
        size = c.step_size / denominator
    return _Elements(
        weight=np.full(n, sample.weight),
        direction=direction,
        variance=variance,
        floor_variance=np.full(n, c.metric_scale**2 * sample.eps * sum_of_powers),
        denominator=denominator,
        step_size=size,
        update=c.step_size * step,
        lr=np.full(n, sample.lr),
        sgd=(1.0 - c.beta1) * size,
        grad=sample.grad,
        param=sample.param,
    )


def _joined(parts: Sequence[_Elements]) -> _Elements:
    columns: dict[str, Any] = {}
    for field in _Elements.__dataclass_fields__:
        arrays = [getattr(part, field) for part in parts]
        known = all(array is not None for array in arrays)
        columns[field] = np.concatenate(arrays) if known else None
    return _Elements(**columns)


def _taken(elements: _Elements, mask: Mask) -> _Elements:
    columns: dict[str, Any] = {}
    for field in _Elements.__dataclass_fields__:
        array = getattr(elements, field)
        columns[field] = None if array is None else array[mask]
    return _Elements(**columns)


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> tuple[float, ...]:
    """The smallest value at which the weights up to it reach each share; NaN of nothing."""
    if not len(values):
        return (math.nan,) * len(shares)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.asarray(shares) * reached[-1])
    return tuple(float(value) for value in values[order][np.minimum(places, len(values) - 1)])


def _share(mask: Mask, weights: Array) -> float:
    return float(weights[mask].sum() / weights.sum()) if weights.sum() > 0 else 0.0


def _cosine(one: Array, other: Array, weights: Array) -> float:
    norms = math.sqrt(float((weights * one**2).sum()) * float((weights * other**2).sum()))
    return float((weights * one * other).sum()) / norms if norms > 0 else 0.0


def _ratio(one: Array, other: Array, weights: Array) -> float:
    norm = math.sqrt(float((weights * other**2).sum()))
    return math.sqrt(float((weights * one**2).sum())) / norm if norm > 0 else math.inf


def _free_eps(first: Sample, e: _Elements) -> float | None:
    """From the variance without ε's part, as far as rounding has left any."""
    own = e.variance - e.floor_variance
    resolved = own > 4 * np.finfo(np.float32).eps * e.floor_variance
    tenth = weighted_quantiles(np.where(resolved, own, 0.0), e.weight, (0.1,))[0]
    if not tenth > 0:
        return None
    ratio = first.eps / float(e.floor_variance.max()) if e.floor_variance.max() > 0 else 1.0
    # At the floor is ŝ ≤ 2 floor: own ≤ floor.
    power = 10.0 ** math.floor(math.log10(tenth * ratio))
    return power if power < first.eps else None


def _histogram(denominators: Array, weights: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    positive = denominators > 0
    if not positive.any():
        return (), ()
    logs = np.log10(denominators[positive])
    low, high = float(logs.min()), float(logs.max())
    if high - low < 0.5:  # a spike deserves a width
        low, high = low - 0.25, high + 0.25
    counts, edges = np.histogram(logs, BINS, (low, high), weights=weights[positive])
    return tuple(map(float, edges)), tuple(map(float, counts / counts.sum()))
